package com.facebook.jni.annotations;

/** Stand-in for fbjni's annotation. */
public @interface DoNotStrip {}
