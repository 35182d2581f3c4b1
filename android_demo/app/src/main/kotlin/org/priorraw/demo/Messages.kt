package org.priorraw.demo

import org.priorraw.core.Problem

/** The sentence for a problem. */
val Problem.sentence: Int
    get() = when (this) {
        Problem.NOT_A_PICTURE -> R.string.problem_not_a_picture
        Problem.TOO_LARGE -> R.string.problem_too_large
        Problem.TOO_SMALL -> R.string.problem_too_small
        Problem.GONE -> R.string.problem_gone
        Problem.LOW_MEMORY -> R.string.problem_low_memory
        Problem.BUNDLE -> R.string.problem_bundle
        Problem.BANK -> R.string.problem_bank
        Problem.STORAGE -> R.string.problem_storage
        Problem.MODEL -> R.string.problem_model
    }
