package com.facebook.proguard.annotations;

/** Stand-in for the annotation of this name. */
public @interface DoNotStrip {}
