package broadcast

// Slice makes audiences be read in slices of so many citizens, so that a test needs
// no crowd to have several.
func (s *Store) Slice(size int) { s.slice = size }
