//! A fixed number of places with small names.

/// Up to a fixed number of values, each named by its index until removed. Never allocates after
/// it was made.
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// `capacity` empty places.
    pub(crate) fn new(capacity: u32) -> Slab<T> {
        Slab { places: (0..capacity).map(|_| None).collect(), free: (0..capacity).rev().collect() }
    }
    /// Values inside.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
    /// Puts a value in. Panics when full (a caller bug).
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let Some(index) = self.free.pop() else { panic!("insert into a full slab") };
        self.places[index as usize] = Some(value);
        index
    }
    /// The value at `index`. Panics if there is none (a caller bug).
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut T {
        let Some(value) = self.places[index as usize].as_mut() else {
            panic!("no value at {index}")
        };
        value
    }
    /// Takes a value out. Panics if there is none (a caller bug).
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let Some(value) = self.places[index as usize].take() else { panic!("no value at {index}") };
        self.free.push(index);
        value
    }
}
