//! What the allocator keeps of what was freed.

/// Buffers of this size and more are mapped by themselves, so that the system has them back when they are freed:
/// bodies of pages, and the objects of one. It is the C library's own default, but that one rises to the largest
/// buffer that was ever freed, so that from the second page on they come from the heap and stay in it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 128 * 1024;

/// Makes the allocator keep little. To be called before there is a second thread.
///
/// Its default is made for programs that allocate all the time in all threads. This one does so in the thread that
/// reads the cluster, and much at a time while it is listed: what is kept of that is more than the pods are. So
/// there is one heap, not one for each thread, and large buffers are not part of it. That costs a few system calls
/// for each page, and for bursts of changes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_little_memory() {
    // SAFETY: mallopt takes no pointers; there is no other thread that might be within malloc.
    unsafe {
        // What it does not take stays at its default.
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Other C libraries have no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_little_memory() {}
