package com.facebook.soloader.nativeloader;

/** Stand-in for nativeloader's interface. */
public interface NativeLoaderDelegate {
    boolean loadLibrary(String name, int flags);
}
