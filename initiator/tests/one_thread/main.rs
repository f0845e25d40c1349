//! A host and a target that take turns on one thread: what an I/O costs is counted, whichever of the
//! two a machine favours.
//!
//! Unsafe: a counting allocator cannot be written without; it only forwards.

#![allow(clippy::unwrap_used, reason = "a test")]

mod allocations;
mod system_calls;
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// The next allocation tells where it comes from.
    static TELL: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        if TELL.replace(false) {
            let count = COUNT.get();
            eprintln!("first allocation:\n{}", Backtrace::force_capture());
            COUNT.set(count);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
