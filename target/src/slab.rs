//! Values named by small indices that are used again.

/// A growing table whose free places are used again, last freed first.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Stores what `make` builds from its own index.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(u32) -> T) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 entries")
        });
        self.places[index as usize] = Some(make(index));
        index
    }
    /// Takes an entry out. Panics if there is none: indices are ours, not a peer's.
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let value = self.places[index as usize].take().expect("entry of the slab");
        self.free.push(index);
        value
    }
    /// The entry, if it is there.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.places.get(index as usize)?.as_ref()
    }
    /// The entry, if it is there.
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.places.get_mut(index as usize)?.as_mut()
    }
    /// All entries with their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0u32..).zip(&self.places).filter_map(|(index, place)| Some((index, place.as_ref()?)))
    }
    /// All entries with their indices.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0u32..).zip(&mut self.places).filter_map(|(index, place)| Some((index, place.as_mut()?)))
    }
    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, index: u32) -> &T {
        self.get(index).expect("entry of the slab")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index).expect("entry of the slab")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an index is used again only after its entry was removed, and iteration skips holes.
    #[test]
    fn indices_are_recycled() {
        let mut slab = Slab::default();
        let a = slab.insert_with(|_| 'a');
        let b = slab.insert_with(|_| 'b');
        assert_ne!(a, b);
        assert_eq!(slab.remove(a), 'a');
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(b, &'b')]);
        assert_eq!(slab.insert_with(|index| if index == a { 'c' } else { '?' }), a);
        assert_eq!(slab[a], 'c');
        assert_eq!(slab.len(), 2);
    }
}
