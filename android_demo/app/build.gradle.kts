plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.priorraw.demo"
    defaultConfig {
        applicationId = "org.priorraw.demo"
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = 1
        versionName = "0.1.0"
        ndk {
            abiFilters += listOf("arm64-v8a", "x86_64")
        }
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }
    sourceSets["main"].assets.srcDir(rootDir.resolve("../build/android/assets")) // from `make android-assets`
}

dependencies {
    implementation(project(":engine-et"))
}
