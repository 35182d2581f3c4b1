plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.priorraw.engine"
    defaultConfig {
        consumerProguardFiles("consumer-rules.pro")
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
