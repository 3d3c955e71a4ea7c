//! Limits of the free memory that the allocator keeps.

/// Size in bytes from which a buffer has a memory mapping of its own, which is returned to the system when the buffer
/// is freed: bodies of pages of a list, and their objects. It is glibc's default. Unless it is set, glibc raises it to
/// the size of the largest mapped buffer freed so far, and from the second page on, buffers would be allocated in the
/// heap, which keeps them.
#[cfg(all(feature = "daemon", target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 128 * 1024;

/// Makes the allocator keep little free memory. Must be called before a second thread is started.
///
/// The allocator's defaults suit programs that allocate constantly in all threads. This one allocates in the thread
/// that reads the cluster, most of it during a list, after which the allocator would keep more memory than the pods
/// take. So there is one heap, not one for each thread, and large buffers are mapped separately. That costs a few
/// system calls for each page of a list, and for bursts of changes.
#[cfg(all(feature = "daemon", target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_little_memory() {
    // SAFETY: mallopt takes no pointers; there is no other thread that might be within malloc.
    unsafe {
        // A parameter that mallopt refuses keeps its default.
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Does nothing: other C libraries do not have these parameters.
#[cfg(all(feature = "daemon", not(all(target_os = "linux", target_env = "gnu"))))]
pub(crate) fn keep_little_memory() {}

/// Returns free memory within the heap to the system; a call takes a few milliseconds at most.
///
/// On its own the allocator returns only free memory at the end of the heap, and a live object there prevents that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn release_free_memory() {
    // SAFETY: malloc_trim takes no pointers, and holds the allocator's locks.
    unsafe {
        // The result, whether any memory was returned, is not needed.
        libc::malloc_trim(0);
    }
}

/// Does nothing: other C libraries do not have this call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn release_free_memory() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Returns the resident memory in KiB.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn free_memory_within_the_heap_is_returned() {
        const KIB: usize = 64 * 1024;
        let mut blocks: Vec<_> = (0..KIB).map(|_| Box::new([1_u8; 1024])).collect();
        // The last block stays, so that the free memory is not at the end of the heap.
        blocks.drain(..KIB - 1);
        let before = resident();
        release_free_memory();
        let given_back = before.saturating_sub(resident());
        assert!(given_back > KIB as u64 * 3 / 4, "only {given_back} KiB of {KIB}");
        drop(blocks);
    }
}
