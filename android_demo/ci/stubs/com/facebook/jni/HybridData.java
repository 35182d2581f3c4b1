package com.facebook.jni;

/** Stand-in for fbjni's class of this name, for the desktop tests and the packaging check; not for release. */
public class HybridData {
    private long pointer;

    public HybridData() {}

    public HybridData(long pointer) {
        this.pointer = pointer;
    }

    public boolean isValid() {
        return pointer != 0;
    }

    public long pointer() {
        return pointer;
    }

    /** Frees the native object. */
    public synchronized void resetNative() {
        long gone = pointer;
        pointer = 0;
        if (gone != 0) delete(gone);
    }

    private static native void delete(long pointer);
}
