//! Handwritten digits: the small set that ships with the repository, and MNIST's files where a user has them.

// Each example uses its own part of this module.
#![allow(dead_code)]

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Grey images of one size with their classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// One image after the other, each row by row from the top; 0 is paper, 1 is ink.
    pub pixels: Vec<f32>,
    pub labels: Vec<usize>,
    pub height: usize,
    pub width: usize,
}

impl Images {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of image `index`.
    pub fn image(&self, index: usize) -> Option<&[f32]> {
        let size = self.height * self.width;
        self.pixels.get(index.checked_mul(size)?..)?.get(..size)
    }

    fn push(&mut self, pixels: &[f32], label: usize) {
        self.pixels.extend_from_slice(pixels);
        self.labels.push(label);
    }
}

/// Images to learn from and images to be judged by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    pub train: Images,
    pub test: Images,
}

/// Why images could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("no file {} (or the same with .gz)", .0.display())]
    Missing(PathBuf),
    #[error("cannot read {}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("{} is no IDX file of {expected}: it starts with {found:#010x}, not {magic:#010x}", file.display())]
    Magic { file: PathBuf, expected: &'static str, magic: u32, found: u32 },
    #[error("{} has {found} bytes where its header promises {expected}", file.display())]
    Length { file: PathBuf, expected: u128, found: usize },
    #[error("{images} images but {labels} labels in {}", folder.display())]
    Counts { folder: PathBuf, images: usize, labels: usize },
    #[error("training images are {train:?} pixels, test images {test:?}, in {}", folder.display())]
    Sizes { folder: PathBuf, train: (usize, usize), test: (usize, usize) },
    #[error("line {line} of the embedded digits is not 64 values from 0 to 16 and a label from 0 to 9")]
    Line { line: usize },
}

const IMAGES: (u32, &str) = (0x0000_0803, "images");
const LABELS: (u32, &str) = (0x0000_0801, "labels");

/// MNIST, or a set of the same form, from a folder with the four files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each plain or as `.gz`.
///
/// # Errors
/// A missing or unreadable file, a file of another kind or length than its header says, and counts or sizes that do not fit
/// together.
pub fn mnist(folder: impl AsRef<Path>) -> Result<Split, DataError> {
    let folder = folder.as_ref();
    let (train, test) = (idx_pair(folder, "train")?, idx_pair(folder, "t10k")?);
    let sizes = ((train.height, train.width), (test.height, test.width));
    if sizes.0 != sizes.1 {
        return Err(DataError::Sizes { folder: folder.to_owned(), train: sizes.0, test: sizes.1 });
    }
    Ok(Split { train, test })
}

fn idx_pair(folder: &Path, name: &str) -> Result<Images, DataError> {
    let (pixels, sides) = idx(&folder.join(format!("{name}-images-idx3-ubyte")), IMAGES)?;
    let (labels, _) = idx(&folder.join(format!("{name}-labels-idx1-ubyte")), LABELS)?;
    let [count, height, width] = sides[..] else { return Ok(Images::default()) };
    if count != labels.len() {
        return Err(DataError::Counts { folder: folder.to_owned(), images: count, labels: labels.len() });
    }
    let pixels = pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    Ok(Images { pixels, labels: labels.into_iter().map(usize::from).collect(), height, width })
}

/// The bytes after the header of an IDX file, and the sides that the header names. The last byte of the magic number is how
/// many sides there are; each is four bytes, the largest first.
fn idx(path: &Path, (magic, expected): (u32, &'static str)) -> Result<(Vec<u8>, Vec<usize>), DataError> {
    let (file, mut bytes) = contents(path)?;
    let mut words = bytes.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    let found = words.next().unwrap_or(0);
    if found != magic {
        return Err(DataError::Magic { file, expected, magic, found });
    }
    let header = 4 + 4 * (magic & 0xff) as usize;
    let sides: Vec<usize> = words.take((magic & 0xff) as usize).map(|side| side as usize).collect();
    let promised = sides.iter().try_fold(1u128, |product, side| product.checked_mul(*side as u128));
    let expected = promised.unwrap_or(u128::MAX).saturating_add(header as u128);
    if bytes.len() < header || bytes.len() as u128 != expected {
        return Err(DataError::Length { file, expected, found: bytes.len() });
    }
    Ok((bytes.split_off(header), sides))
}

/// The file at `path`, or the one with `.gz` added, unpacked.
fn contents(path: &Path) -> Result<(PathBuf, Vec<u8>), DataError> {
    let mut packed = path.as_os_str().to_owned();
    packed.push(".gz");
    let candidates = [path.to_owned(), PathBuf::from(packed)];
    let file = candidates.into_iter().find(|file| file.exists()).ok_or_else(|| DataError::Missing(path.to_owned()))?;
    let read =
        fs::read(&file).and_then(|bytes| if bytes.starts_with(&[0x1f, 0x8b]) { unpacked(&bytes) } else { Ok(bytes) });
    match read {
        Ok(bytes) => Ok((file, bytes)),
        Err(source) => Err(DataError::Io { file, source }),
    }
}

fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

/// The 1797 digits of 8 × 8 pixels that ship with the repository (`examples/data/digits`), split the same way every time:
/// of each class, every fifth image in the order of the file is for the test, 355 in all. Both parts so hold the classes in
/// equal shares, and the same writers: the test says nothing about writers who were never seen.
///
/// # Errors
/// A line of the file that is not an image; only a damaged checkout has one.
pub fn small() -> Result<Split, DataError> {
    let file = Path::new("digits.csv.gz");
    let text = unpacked(include_bytes!("../data/digits/digits.csv.gz"))
        .map_err(|source| DataError::Io { file: file.to_owned(), source })?;
    split(&String::from_utf8_lossy(&text))
}

fn split(text: &str) -> Result<Split, DataError> {
    let empty = Images { height: 8, width: 8, ..Images::default() };
    let mut split = Split { train: empty.clone(), test: empty };
    let mut seen = [0; 10];
    for (index, line) in text.lines().enumerate() {
        let (pixels, label) = digit(line).ok_or(DataError::Line { line: index + 1 })?;
        seen[label] += 1;
        let part = if seen[label] % 5 == 0 { &mut split.test } else { &mut split.train };
        part.push(&pixels, label);
    }
    Ok(split)
}

/// An image and its label from 64 ink values, 0 to 16, and a digit.
fn digit(line: &str) -> Option<(Vec<f32>, usize)> {
    let numbers: Vec<u8> = line.trim().split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let (label, pixels) = numbers.split_last()?;
    let valid = pixels.len() == 64 && *label < 10 && pixels.iter().all(|pixel| *pixel <= 16);
    valid.then(|| (pixels.iter().map(|pixel| f32::from(*pixel) / 16.0).collect(), usize::from(*label)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    /// A folder of tiny IDX files: images of 2 × 3 pixels.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("digits-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            let folder = Folder(folder);
            for (part, count) in [("train", 3u8), ("t10k", 1)] {
                let pixels: Vec<u8> = (0..count * 6).map(|i| i * 15).collect();
                folder.write(&format!("{part}-images-idx3-ubyte"), &file(IMAGES.0, &[count.into(), 2, 3], &pixels));
                let labels: Vec<u8> = (0..count).collect();
                folder.write(&format!("{part}-labels-idx1-ubyte"), &file(LABELS.0, &[count.into()], &labels));
            }
            folder
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            fs::write(self.0.join(name), bytes).unwrap();
        }

        fn error(&self) -> String {
            let text = mnist(&self.0).unwrap_err().to_string();
            text.replace(&format!("{}/", self.0.display()), "").replace(&self.0.display().to_string(), "FOLDER")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn file(magic: u32, sides: &[u32], data: &[u8]) -> Vec<u8> {
        let header = std::iter::once(&magic).chain(sides).flat_map(|word| word.to_be_bytes());
        header.chain(data.iter().copied()).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn idx_files_are_read_plain_and_packed() {
        let folder = Folder::new("plain");
        let plain = mnist(&folder.0).unwrap();
        assert_eq!((plain.train.len(), plain.train.height, plain.train.width), (3, 2, 3));
        assert_eq!((plain.test.len(), &plain.train.labels[..]), (1, &[0, 1, 2][..]));
        assert_eq!(plain.train.image(2).unwrap()[5], 1.0);
        assert_eq!(plain.train.image(1).unwrap()[0], 90.0 / 255.0);
        assert_eq!((plain.train.image(3), plain.train.image(usize::MAX)), (None, None));
        for entry in fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()) {
            let bytes = packed(&fs::read(&entry).unwrap());
            fs::remove_file(&entry).unwrap();
            fs::write(entry.with_extension("gz"), bytes).unwrap();
        }
        assert_eq!(mnist(&folder.0).unwrap(), plain);
    }

    #[test]
    fn each_fault_of_a_file_is_named() {
        let folder = Folder::new("faults");
        let name = "train-labels-idx1-ubyte";
        folder.write(name, &file(IMAGES.0, &[3], &[0, 1, 2]));
        assert_eq!(
            folder.error(),
            format!("{name} is no IDX file of labels: it starts with 0x00000803, not 0x00000801")
        );
        folder.write(name, &file(LABELS.0, &[3], &[0, 1]));
        assert_eq!(folder.error(), format!("{name} has 10 bytes where its header promises 11"));
        folder.write(name, &file(LABELS.0, &[3], &[0, 1, 2, 3]));
        assert_eq!(folder.error(), format!("{name} has 12 bytes where its header promises 11"));
        folder.write(name, &file(LABELS.0, &[2], &[0, 1]));
        assert_eq!(folder.error(), "3 images but 2 labels in FOLDER");
        folder.write(name, &[]);
        assert!(folder.error().contains("it starts with 0x00000000"));
        folder.write(name, &packed(&[0; 100])[..20]);
        assert!(folder.error().starts_with(&format!("cannot read {name}: ")));
        fs::remove_file(folder.0.join(name)).unwrap();
        assert_eq!(folder.error(), format!("no file {name} (or the same with .gz)"));
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let folder = Folder::new("lies");
        let name = "t10k-images-idx3-ubyte";
        folder.write(name, &file(IMAGES.0, &[u32::MAX; 3], &[0; 6]));
        assert!(folder.error().contains("has 22 bytes where its header promises"));
        folder.write(name, &file(IMAGES.0, &[0, 2], &[]));
        assert!(folder.error().contains("has 12 bytes where its header promises"));
        folder.write(name, &file(IMAGES.0, &[1, 3, 2], &[0; 6]));
        assert_eq!(folder.error(), "training images are (2, 3) pixels, test images (3, 2), in FOLDER");
    }

    #[test]
    fn the_small_set_is_whole_and_fairly_split() {
        let Split { train, test } = small().unwrap();
        assert_eq!((train.len(), test.len()), (1442, 355));
        for part in [&train, &test] {
            assert_eq!((part.height, part.width, part.pixels.len()), (8, 8, 64 * part.len()));
            assert!(part.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)) && part.pixels.contains(&1.0));
        }
        for class in 0..10 {
            let count = |part: &Images| part.labels.iter().filter(|label| **label == class).count();
            assert!((34..=37).contains(&count(&test)) && count(&train) >= 4 * count(&test), "class {class}");
        }
        // The first image of the set is a zero: no ink in its middle, ink around it.
        assert_eq!((train.labels[0], train.image(0).unwrap()[3 * 8 + 4]), (0, 0.0));
    }

    #[test]
    fn every_fifth_of_a_class_is_for_the_test() {
        let line = |label: usize, mark: usize| format!("{mark},{}{label}\n", "0,".repeat(63));
        let text: String = (0..10).flat_map(|mark| [line(3, mark), line(7, mark)]).collect();
        let Split { train, test } = split(&text).unwrap();
        assert_eq!((train.len(), &test.labels[..]), (16, &[3, 7, 3, 7][..]));
        assert_eq!(test.image(0).unwrap()[0], 4.0 / 16.0);
        assert_eq!(test.image(3).unwrap()[0], 9.0 / 16.0);
        for bad in ["", "1,2,3", &line(10, 0), &line(1, 17), "0,".repeat(64).as_str()] {
            let error = split(&(line(1, 1) + bad + "\n")).unwrap_err().to_string();
            assert!(error.starts_with("line 2 of the embedded digits"), "{error}");
        }
    }
}
