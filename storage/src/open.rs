//! From words to a disk.

use crate::layer::{Delay, Faulty, Rate, Stats};
use crate::medium::{Direct, FileOptions};
use crate::{Backend, BackendSpec, DiskSpec, FileDisk, LayerSpec, Memory, Mmap, Null};
use std::io;

/// A disk that can be moved to the thread that will poll it.
pub type BoxedBackend = Box<dyn Backend + Send>;

/// Opens what `spec` says, layers included.
///
/// Errors: what the operating system says, with what to do about it, for a person to read.
pub fn open(spec: &BackendSpec) -> io::Result<BoxedBackend> {
    let mut disk = open_disk(spec)?;
    for layer in &spec.layers {
        disk = match layer {
            LayerSpec::Delay(time) => Box::new(Delay::new(disk, *time)),
            LayerSpec::Rate(rates) => Box::new(Rate::new(disk, *rates)),
            LayerSpec::Faulty(faults, seed) => Box::new(Faulty::new(disk, faults.clone(), *seed)),
            LayerSpec::Stats => Box::new(Stats::new(disk)),
        };
    }
    Ok(disk)
}

fn open_disk(spec: &BackendSpec) -> io::Result<BoxedBackend> {
    let BackendSpec { block_bytes, depth, .. } = *spec;
    let blocks = |octets: u64| octets / u64::from(block_bytes);
    Ok(match &spec.disk {
        DiskSpec::Memory { octets, random } => {
            let mut disk = Memory::new(block_bytes, blocks(*octets), depth).map_err(|e| {
                let what =
                    format!("no memory for a disk of {octets} octets: make it smaller ({e})");
                io::Error::new(e.kind(), what)
            })?;
            if let Some(seed) = random {
                disk.fill_random(*seed);
            }
            Box::new(disk)
        }
        DiskSpec::Null { octets } => Box::new(Null::new(block_bytes, blocks(*octets), depth)?),
        DiskSpec::File { path, direct, create } => {
            let options = FileOptions { block_bytes, direct: *direct, create: *create, depth };
            Box::new(FileDisk::open(path, options)?)
        }
        DiskSpec::Mmap { path, create } => {
            let direct = Direct::Off;
            let options = FileOptions { block_bytes, direct, create: *create, depth };
            Box::new(Mmap::open(path, options)?)
        }
    })
}
