//! Memory that the allocator keeps after it was freed.

/// Buffers of this size and more are mapped by themselves, so that the system has them back when they are freed:
/// bodies of pages, and the objects of one. It is the C library's own default, but that one rises to the largest
/// buffer that was ever freed, so that from the second page on they come from the heap and stay in it.
#[cfg(all(feature = "daemon", target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 128 * 1024;

/// Makes the allocator keep little. To be called before there is a second thread.
///
/// Its default is made for programs that allocate all the time in all threads. This one does so in the thread that
/// reads the cluster, and much at a time while it is listed: what is kept of that is more than the pods are. So
/// there is one heap, not one for each thread, and large buffers are not part of it. That costs a few system calls
/// for each page, and for bursts of changes.
#[cfg(all(feature = "daemon", target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_little_memory() {
    // SAFETY: mallopt takes no pointers; there is no other thread that might be within malloc.
    unsafe {
        // What it does not take stays at its default.
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Other C libraries have no such settings.
#[cfg(all(feature = "daemon", not(all(target_os = "linux", target_env = "gnu"))))]
pub(crate) fn keep_little_memory() {}

/// Returns free memory within the heap to the system; takes a few milliseconds at most.
///
/// By itself the allocator returns only free memory at the heap's end, where a live object may be.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn release_free_memory() {
    // SAFETY: malloc_trim takes no pointers, and the allocator's own locks while it works.
    unsafe {
        // The result, whether any memory was returned, is of no interest.
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn release_free_memory() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Resident memory, in KiB.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn free_memory_within_the_heap_is_returned() {
        const KIB: usize = 64 * 1024;
        let mut blocks: Vec<_> = (0..KIB).map(|_| Box::new([1_u8; 1024])).collect();
        // The last one stays, so the others are not the end of the heap.
        blocks.drain(..KIB - 1);
        let before = resident();
        release_free_memory();
        let given_back = before.saturating_sub(resident());
        assert!(given_back > KIB as u64 * 3 / 4, "only {given_back} KiB of {KIB}");
        drop(blocks);
    }
}
