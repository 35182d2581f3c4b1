package org.priorraw.core

/** How far the work is, and whether it is still wanted. */
interface Progress {
    /** [done] of [total] tiles. */
    fun step(done: Int, total: Int)

    /** Asked between tiles. */
    val cancelled: Boolean

    /** @throws Cancelled when the user has cancelled. */
    fun check() {
        if (cancelled) throw Cancelled()
    }

    companion object {
        /** Nobody watches. */
        val NONE = object : Progress {
            override fun step(done: Int, total: Int) = Unit

            override val cancelled = false
        }
    }
}
