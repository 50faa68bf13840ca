//! What the journal needs of a file system. Paths are relative to a root, with `/` between folders.

use std::io;

/// A file system: a real one ([`crate::Disk`]) or a simulated one ([`crate::simulated::Simulated`]).
pub trait Files {
    /// An open file. It stays the same file when it is renamed or removed.
    type File;

    /// Makes a folder and those above it; none of this is durable before [`Files::sync_folder`] of the one above.
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    /// Names of the files and folders in a folder, in any order; an error of kind `NotFound` when there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes an empty file, or empties one, for reading and writing.
    fn create(&self, path: &str) -> io::Result<Self::File>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &str) -> io::Result<Self::File>;
    /// Octets of a file.
    fn length(&self, file: &Self::File) -> io::Result<u64>;
    /// Reads what there is, at most what fits; fewer octets only at the end.
    fn read_at(&self, file: &Self::File, at: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes all of it; after an error some of it may be there.
    fn write_at(&self, file: &Self::File, at: u64, octets: &[u8]) -> io::Result<()>;
    /// Makes a file that short.
    fn cut(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// Makes octets and length durable. After an error nothing is known of what was written since the last success.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Renames a file, over another one if there is one; or a folder to a name that is free.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a folder durable; the root is the empty name.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

/// Reads a small file whole; nothing when it is not there.
pub(crate) fn read_small<F: Files>(files: &F, path: &str, octets_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match files.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut octets = vec![0; octets_max];
    let read = files.read_at(&file, 0, &mut octets)?;
    octets.truncate(read);
    Ok(Some(octets))
}

/// Puts a whole file in the place of another: at every moment, also after a power cut, one of the two is there.
pub(crate) fn replace<F: Files>(files: &F, path: &str, folder: &str, octets: &[u8]) -> io::Result<F::File> {
    let file = prepare(files, path, octets)?;
    publish(files, path, folder)?;
    Ok(file)
}

/// Writes and syncs a file under another name. After an error nothing has changed.
pub(crate) fn prepare<F: Files>(files: &F, path: &str, octets: &[u8]) -> io::Result<F::File> {
    let fresh = fresh(path);
    let file = files.create(&fresh)?;
    match files.write_at(&file, 0, octets).and_then(|()| files.sync(&file)) {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = files.remove(&fresh); // it does no harm either
            Err(error)
        }
    }
}

/// Gives a prepared file its name. After an error it may have it, and may lose it in a power cut.
pub(crate) fn publish<F: Files>(files: &F, path: &str, folder: &str) -> io::Result<()> {
    files.rename(&fresh(path), path)?;
    files.sync_folder(folder)
}

fn fresh(path: &str) -> String {
    format!("{path}.new")
}

impl<F: Files> Files for &F {
    type File = F::File;

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        (**self).make_folder(folder)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        (**self).list(folder)
    }

    fn create(&self, path: &str) -> io::Result<Self::File> {
        (**self).create(path)
    }

    fn open(&self, path: &str) -> io::Result<Self::File> {
        (**self).open(path)
    }

    fn length(&self, file: &Self::File) -> io::Result<u64> {
        (**self).length(file)
    }

    fn read_at(&self, file: &Self::File, at: u64, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(file, at, into)
    }

    fn write_at(&self, file: &Self::File, at: u64, octets: &[u8]) -> io::Result<()> {
        (**self).write_at(file, at, octets)
    }

    fn cut(&self, file: &Self::File, length: u64) -> io::Result<()> {
        (**self).cut(file, length)
    }

    fn sync(&self, file: &Self::File) -> io::Result<()> {
        (**self).sync(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        (**self).remove(path)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        (**self).sync_folder(folder)
    }
}
