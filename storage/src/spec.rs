//! What disk is meant: `file:disk.img?size=1GiB&create`, `mem:1GiB`, `null:1TiB`, `mmap:path`.

use crate::layer::{Fault, Rates, Time};
use crate::medium::Direct;
use std::path::PathBuf;
use std::str::FromStr;

mod words;

pub use words::parse_size;

/// A disk and the layers around it, as a URI says it.
///
/// ```text
/// file:PATH  mmap:PATH     ?create&size=1GiB  block=512|4096  direct=auto|on|off (file)
/// mem:SIZE   null:SIZE     ?block=512|4096    random=SEED (mem: filled with random data)
/// all of them              depth=1024, and layers, the first one nearest to the disk:
///   delay=50us or delay=20us-80us   rate=200MBps and/or rate=5000iops   stats
///   fail=KIND:WHEN[:STATUS]   KIND any|read|write|flush|compare|zeroes|deallocate|verify,
///                             WHEN 7 (the seventh), every7, from7 or 0.1%,
///                             STATUS read-error|write-error|capacity|internal
/// ```
/// Characters that mean something else here (`? & %`) are written `%3F`, `%26`, `%25` in a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackendSpec {
    /// Where the blocks are.
    pub disk: DiskSpec,
    /// Octets of a logical block: 512 or 4,096 (the default).
    pub block_bytes: u32,
    /// Requests in flight, 1 to 16,384; by default 1,024.
    pub depth: u32,
    /// From the disk outwards.
    pub layers: Vec<LayerSpec>,
}

/// Where the blocks are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskSpec {
    /// In memory.
    Memory {
        /// Size.
        octets: u64,
        /// Filled with random data of this seed.
        random: Option<u64>,
    },
    /// Nowhere.
    Null {
        /// Size.
        octets: u64,
    },
    /// In a file or on a block device.
    File {
        /// Its path.
        path: PathBuf,
        /// O_DIRECT or not.
        direct: Direct,
        /// Made with this size if it does not exist.
        create: Option<u64>,
    },
    /// In a mapped file.
    Mmap {
        /// Its path.
        path: PathBuf,
        /// Made with this size if it does not exist.
        create: Option<u64>,
    },
}

/// A layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LayerSpec {
    /// Answers later.
    Delay(Time),
    /// Limits the speed.
    Rate(Rates),
    /// Fails; the seed makes the chances.
    Faulty(Vec<Fault>, u64),
    /// Counts.
    Stats,
}

/// What is wrong with a URI, and what to write instead. The fault of whoever wrote it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub(crate) String);

/// Options as they were written, before they are checked against the disk.
#[derive(Default)]
struct Options {
    block_bytes: Option<u32>,
    depth: Option<u32>,
    size: Option<u64>,
    create: bool,
    direct: Option<Direct>,
    random: Option<u64>,
    seed: u64,
    layers: Vec<LayerSpec>,
}

impl FromStr for BackendSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<BackendSpec, SpecError> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| unknown_kind(text))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let options = Options::parse(query)?;
        let disk = match kind {
            "mem" | "memory" => {
                DiskSpec::Memory { octets: parse_size(place)?, random: options.random }
            }
            "null" => DiskSpec::Null { octets: parse_size(place)? },
            "file" => DiskSpec::File {
                path: words::path(place)?,
                direct: options.direct.unwrap_or_default(),
                create: options.created_size()?,
            },
            "mmap" => DiskSpec::Mmap { path: words::path(place)?, create: options.created_size()? },
            _ => return Err(unknown_kind(text)),
        };
        options.check(&disk, kind)?;
        let spec = BackendSpec {
            disk,
            block_bytes: options.block_bytes.unwrap_or(4096),
            depth: options.depth.unwrap_or(1024),
            layers: options.layers.into_iter().map(|l| l.with_seed(options.seed)).collect(),
        };
        spec.check_size()?;
        Ok(spec)
    }
}

impl BackendSpec {
    fn check_size(&self) -> Result<(), SpecError> {
        let octets = match &self.disk {
            DiskSpec::Memory { octets, .. } | DiskSpec::Null { octets } => Some(*octets),
            DiskSpec::File { create, .. } | DiskSpec::Mmap { create, .. } => *create,
        };
        let block = u64::from(self.block_bytes);
        match octets {
            Some(octets) if octets == 0 || !octets.is_multiple_of(block) => {
                Err(SpecError(format!(
                    "{octets} octets are no whole number of blocks of {block}: round the size, or use \
                 block=512"
                )))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl LayerSpec {
    fn with_seed(self, seed: u64) -> LayerSpec {
        match self {
            LayerSpec::Faulty(faults, _) => LayerSpec::Faulty(faults, seed),
            LayerSpec::Delay(Time::Random { min, max, .. }) => {
                LayerSpec::Delay(Time::Random { min, max, seed })
            }
            LayerSpec::Delay(_) | LayerSpec::Rate(_) | LayerSpec::Stats => self,
        }
    }
}

impl Options {
    fn parse(query: &str) -> Result<Options, SpecError> {
        let mut options = Options::default();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            options.set(name, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SpecError> {
        match name {
            "block" => self.block_bytes = Some(words::block(value)?),
            "depth" => self.depth = Some(words::depth(value)?),
            "size" => self.size = Some(parse_size(value)?),
            "create" if value.is_empty() => self.create = true,
            "direct" => self.direct = Some(words::direct(value)?),
            "random" => self.random = Some(words::number(name, value)?),
            "seed" => self.seed = words::number(name, value)?,
            "stats" if value.is_empty() => self.layers.push(LayerSpec::Stats),
            "delay" => self.layers.push(LayerSpec::Delay(words::delay(value)?)),
            "rate" => self.add_rate(value)?,
            "fail" => self.add_fault(words::fault(value)?),
            _ => {
                return Err(SpecError(format!(
                    "unknown option {name:?}: there are block, depth, size, create, direct, \
                     random, seed, delay, rate, fail and stats"
                )));
            }
        }
        Ok(())
    }

    /// Rates that follow each other are one layer with both limits.
    fn add_rate(&mut self, value: &str) -> Result<(), SpecError> {
        let mut rates = match self.layers.pop() {
            Some(LayerSpec::Rate(rates)) => rates,
            other => {
                self.layers.extend(other);
                Rates::default()
            }
        };
        for part in value.split(',') {
            words::rate(part, &mut rates)?;
        }
        self.layers.push(LayerSpec::Rate(rates));
        Ok(())
    }

    /// Faults that follow each other are one layer with all rules.
    fn add_fault(&mut self, fault: Fault) {
        if let Some(LayerSpec::Faulty(faults, _)) = self.layers.last_mut() {
            faults.push(fault);
        } else {
            self.layers.push(LayerSpec::Faulty(vec![fault], 0));
        }
    }

    fn created_size(&self) -> Result<Option<u64>, SpecError> {
        match (self.create, self.size) {
            (true, Some(size)) => Ok(Some(size)),
            (true, None) => Err(SpecError("create needs a size: create&size=1GiB".into())),
            (false, Some(_)) => Err(SpecError(
                "a size is for files to be made: add create, or leave out size".into(),
            )),
            (false, None) => Ok(None),
        }
    }

    /// Options that this kind of disk does not have.
    fn check(&self, disk: &DiskSpec, kind: &str) -> Result<(), SpecError> {
        let (is_file, is_memory) =
            (matches!(disk, DiskSpec::File { .. }), matches!(disk, DiskSpec::Memory { .. }));
        let has_path = is_file || matches!(disk, DiskSpec::Mmap { .. });
        let wrong = [
            ("direct", self.direct.is_some() && !is_file, "file:"),
            ("random", self.random.is_some() && !is_memory, "mem:"),
            ("create", self.create && !has_path, "file: and mmap:"),
            ("size", self.size.is_some() && !has_path, "file: and mmap:"),
        ];
        match wrong.iter().find(|(_, is_wrong, _)| *is_wrong) {
            Some((name, _, home)) => {
                Err(SpecError(format!("{kind}: has no option {name}: it is for {home}")))
            }
            None => Ok(()),
        }
    }
}

fn unknown_kind(text: &str) -> SpecError {
    SpecError(format!(
        "{text:?} is no disk: write file:disk.img, mmap:disk.img, mem:1GiB or null:1TiB"
    ))
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
