package com.facebook.soloader.nativeloader;

/** Stand-in for nativeloader's class: the system's own loader. */
public class SystemDelegate implements NativeLoaderDelegate {
    @Override
    public boolean loadLibrary(String name, int flags) {
        System.loadLibrary(name);
        return true;
    }
}
