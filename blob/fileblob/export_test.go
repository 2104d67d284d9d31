package fileblob

// OpenOn opens a bucket on a disk that may break: step is told of each change before it is made.
func OpenOn(root string, step func(op, path string) error) (*Bucket, error) { return open(root, step) }

// Die gives up the lock that says that the process lives, as its end would.
func (b *Bucket) Die() error { return b.alive.Close() }
