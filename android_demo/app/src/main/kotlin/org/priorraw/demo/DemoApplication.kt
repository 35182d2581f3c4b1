package org.priorraw.demo

import android.app.Application

/** Holds the work, so that it goes on when the screen is turned. */
class DemoApplication : Application() {
    val workshop: Workshop by lazy { Workshop(this) }
}
