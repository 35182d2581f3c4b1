import com.android.build.gradle.BaseExtension
import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.tasks.KotlinCompile

plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.android) apply false
    alias(libs.plugins.kotlin.jvm) apply false
}

// Read here: the catalog's accessors are not there yet inside `subprojects`.
val compileSdk = libs.versions.compileSdk.get().toInt()
val oldestSdk = libs.versions.minSdk.get().toInt()

// What holds for every module: Java 8 classes; and for the Android ones, the SDK.
subprojects {
    tasks.withType<KotlinCompile>().configureEach {
        compilerOptions.jvmTarget.set(JvmTarget.JVM_1_8)
    }
    plugins.withId("com.android.base") {
        extensions.configure<BaseExtension> {
            compileSdkVersion(compileSdk)
            defaultConfig {
                minSdk = oldestSdk
            }
            compileOptions {
                sourceCompatibility = JavaVersion.VERSION_1_8
                targetCompatibility = JavaVersion.VERSION_1_8
            }
        }
    }
}
