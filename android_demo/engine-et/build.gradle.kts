plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.priorraw.engine"
    compileSdk = libs.versions.compileSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions {
        jvmTarget = "1.8"
    }
    // Its tests need ExecuTorch's library for a desktop: android_demo/ci/jvm.sh builds it and runs them.
    sourceSets["test"].kotlin.setSrcDirs(emptyList<String>())
}

dependencies {
    api(project(":core"))
    implementation(libs.executorch.android)
    implementation(libs.fbjni)
    implementation(libs.nativeloader)
}
