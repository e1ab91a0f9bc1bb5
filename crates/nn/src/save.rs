//! Models on disk: safetensors files with PyTorch's names and layouts.
//!
//! [`save`] writes every parameter, buffer and counter under its name; [`load`] wants exactly those names and shapes, and
//! [`load_partial`] takes what fits and reports the rest. A file from PyTorch
//! (`safetensors.torch.save_file(model.state_dict(), path)`) loads into a model with the same field names, and the other
//! way round. Modes, settings and the generators of dropout are no part of a file.
//!
//! A [`FileError`] has the variants that a program may tell apart; where all else returns [`autograd::Error`], `?` makes it one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};

use autograd::{Error, ErrorKind, Float, Module, Shape, Tensor};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView, View};

use crate::state::{LoadReport, Mismatch, Value, assign, repeated, state};

/// What the header of a file has besides tensors.
const RESERVED: &str = "__metadata__";

/// Why a model was not saved or loaded.
///
/// In a function that returns [`autograd::Result`], `?` makes it an [`autograd::Error`] with the same text and the line of
/// the `?`; where the reason matters, match on it first.
///
/// ```
/// use nn::{FileError, Linear, load};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// fn resumed() -> autograd::Result<Linear> {
///     let mut model = Linear::new(3, 2, &mut StdRng::seed_from_u64(0));
///     match load("checkpoints/none.safetensors", &mut model) {
///         Err(FileError::Io { .. }) => println!("starting anew"),
///         loaded => loaded?,
///     }
///     Ok(model)
/// }
/// # resumed()?;
/// # Ok::<(), autograd::Error>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not in the safetensors format, or holds numbers that cannot be read.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SafeTensorError,
    },
    /// The file does not fit the model.
    #[error("{} does not fit the model: {report}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What did not fit.
        report: LoadReport,
    },
    /// Two tensors of the model have the same name.
    #[error("two tensors of the model are named {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// A tensor of the model has a name that the format keeps for itself.
    #[error("a tensor of the model is named {RESERVED:?}, which the format keeps for itself")]
    ReservedName,
}

impl fmt::Debug for FileError {
    /// What `main` prints of an error is the sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<FileError> for Error {
    #[track_caller]
    fn from(error: FileError) -> Self {
        Error::new("file", ErrorKind::Custom(error.to_string()))
    }
}

/// Writes every parameter, buffer and counter of a model to a file.
///
/// Atomic: the bytes go to a new file beside it, to the disk, and then under the name. Whoever reads sees the old model or
/// the new one, whole, and a failure leaves the old one.
///
/// ```
/// use nn::{Linear, load, save};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// fn main() -> autograd::Result<()> {
///     let mut rng = StdRng::seed_from_u64(0);
///     let path = std::env::temp_dir().join("linear.safetensors");
///     let trained: Linear = Linear::new(3, 2, &mut rng);
///     save(&path, &trained)?;
///     let mut model: Linear = Linear::new(3, 2, &mut rng);
///     load(&path, &mut model)?;
///     assert_eq!(model.weight.value(), trained.weight.value());
/// #   std::fs::remove_file(path).unwrap();
///     Ok(())
/// }
/// ```
///
/// An optimiser is a module too: save it beside its model, and training goes on where it was.
///
/// # Errors
/// When the file cannot be written.
pub fn save<T: Float>(path: impl AsRef<FilePath>, model: &impl Module<T>) -> Result<(), FileError> {
    let path = path.as_ref();
    let stored = stored(model)?;
    let bytes =
        safetensors::serialize(stored, None).map_err(|source| FileError::Format { path: path.into(), source })?;
    replace(path, &bytes).map_err(|source| FileError::Io { path: path.into(), source })
}

/// Reads every parameter, buffer and counter of a model from a file that has exactly those. As in PyTorch, it may lack the
/// `num_batches_tracked` of a layer, which then stays as it is.
///
/// ```
/// use autograd::Result;
/// use nn::Linear;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// fn trained(path: &std::path::Path) -> Result<Linear> {
///     let mut model = Linear::new(3, 2, &mut StdRng::seed_from_u64(0));
///     nn::load(path, &mut model)?;
///     Ok(model)
/// }
///
/// let error = trained("nowhere.safetensors".as_ref()).unwrap_err();
/// assert!(error.to_string().starts_with("file: nowhere.safetensors: "));
/// ```
///
/// # Errors
/// When the file cannot be read, or has other names or shapes; the model is then unchanged, and the error lists them all.
pub fn load<T: Float>(path: impl AsRef<FilePath>, model: &mut impl Module<T>) -> Result<(), FileError> {
    let path = path.as_ref();
    let (report, tensors) = read(path, model)?;
    if !report.is_complete() {
        return Err(FileError::Mismatch { path: path.into(), report });
    }
    assign(model, tensors);
    Ok(())
}

/// Reads the parameters, buffers and counters that a file and a model share, with the same shape; the others keep their values.
///
/// ```
/// use nn::{Linear, load_partial, save};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// fn main() -> autograd::Result<()> {
///     let mut rng = StdRng::seed_from_u64(0);
///     let path = std::env::temp_dir().join("body.safetensors");
///     let (body, head): (Linear, Linear) = (Linear::new(3, 8, &mut rng), Linear::new(8, 2, &mut rng));
///     save(&path, &vec![body.clone()])?;
///     let mut model = vec![body, head];
///     let report = load_partial(&path, &mut model)?;
///     assert_eq!((report.loaded, report.missing.len()), (vec!["0.weight".to_string(), "0.bias".to_string()], 2));
/// #   std::fs::remove_file(path).unwrap();
///     Ok(())
/// }
/// ```
///
/// # Errors
/// When the file cannot be read.
pub fn load_partial<T: Float>(path: impl AsRef<FilePath>, model: &mut impl Module<T>) -> Result<LoadReport, FileError> {
    let (report, tensors) = read(path.as_ref(), model)?;
    assign(model, tensors);
    Ok(report)
}

/// A tensor as a file holds it.
struct Stored {
    dtype: Dtype,
    shape: Shape,
    bytes: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Stored {
    fn new<T: Float>(value: &Value<T>) -> Self {
        let (dtype, bytes) = match value {
            // PyTorch's integers have a sign.
            Value::Count(count) => (Dtype::I64, i64::try_from(*count).unwrap_or(i64::MAX).to_le_bytes().to_vec()),
            Value::Tensor(tensor) if size_of::<T>() == 4 => {
                (Dtype::F32, tensor.iter().flat_map(|x| (x.to_f64() as f32).to_le_bytes()).collect())
            }
            Value::Tensor(tensor) => (Dtype::F64, tensor.iter().flat_map(|x| x.to_f64().to_le_bytes()).collect()),
        };
        Self { dtype, shape: value.shape(), bytes }
    }
}

/// What a file has for a value of the model.
fn read_as<T: Float>(value: &Value<T>, view: &TensorView<'_>) -> Result<Value<T>, SafeTensorError> {
    match value {
        Value::Tensor(_) => Ok(Value::Tensor(tensor(view)?)),
        Value::Count(_) => Ok(Value::Count(count(view)?)),
    }
}

/// PyTorch's batch normalisation had no count at first, and reads files without it to this day.
fn may_lack(name: &str) -> bool {
    name.rsplit('.').next() == Some("num_batches_tracked")
}

fn stored<T: Float>(model: &impl Module<T>) -> Result<Vec<(String, Stored)>, FileError> {
    let mut all = state(model);
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    if all.iter().any(|(name, _)| name == RESERVED) {
        return Err(FileError::ReservedName);
    }
    match repeated(&all) {
        Some(name) => Err(FileError::Name { name: name.into() }),
        None => Ok(all.into_iter().map(|(name, value)| (name, Stored::new(&value))).collect()),
    }
}

/// What fits, and the report.
fn read<T: Float>(
    path: &FilePath,
    model: &impl Module<T>,
) -> Result<(LoadReport, HashMap<String, Value<T>>), FileError> {
    let format = |source| FileError::Format { path: path.into(), source };
    let bytes = fs::read(path).map_err(|source| FileError::Io { path: path.into(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let (mut report, mut values) = (LoadReport::default(), HashMap::new());
    for (name, old) in state(model) {
        let Ok(view) = file.tensor(&name) else {
            report.missing.extend(Some(name).filter(|name| !may_lack(name)));
            continue;
        };
        let (expected, found) = (old.shape(), Shape::from(view.shape()));
        if expected != found {
            report.mismatched.push(Mismatch { name, expected, found });
            continue;
        }
        values.insert(name.clone(), read_as(&old, &view).map_err(format)?);
        report.loaded.push(name);
    }
    let known = |name: &str| values.contains_key(name) || report.mismatched.iter().any(|other| other.name == name);
    report.unexpected = file.names().into_iter().filter(|name| !known(name)).map(String::from).collect();
    report.unexpected.sort();
    Ok((report, values))
}

fn tensor<T: Float>(view: &TensorView<'_>) -> Result<Tensor<T>, SafeTensorError> {
    let numbers = numbers(view)?.into_iter().map(T::from_f64).collect();
    Tensor::from_vec(Shape::from(view.shape()), numbers).map_err(|_| invalid(view))
}

/// A whole number that is not negative, in whatever type.
fn count(view: &TensorView<'_>) -> Result<u64, SafeTensorError> {
    if let (Dtype::I64, &[bytes]) = (view.dtype(), view.data().as_chunks().0) {
        return i64::from_le_bytes(bytes).try_into().map_err(|_| invalid(view));
    }
    match numbers(view)?[..] {
        [count] if count >= 0.0 && count.fract() == 0.0 => Ok(count as u64),
        _ => Err(invalid(view)),
    }
}

fn invalid(view: &TensorView<'_>) -> SafeTensorError {
    SafeTensorError::InvalidTensorView(view.dtype(), view.shape().into(), view.data().len())
}

/// The elements, as far as f64 can hold them.
fn numbers(view: &TensorView<'_>) -> Result<Vec<f64>, SafeTensorError> {
    fn numbers<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect()
    }
    let bytes = view.data();
    Ok(match view.dtype() {
        Dtype::F64 => numbers(bytes, f64::from_le_bytes),
        Dtype::F32 => numbers(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::F16 => numbers(bytes, |bytes| half(u16::from_le_bytes(bytes))),
        Dtype::BF16 => numbers(bytes, |bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16).into()),
        Dtype::I64 => numbers(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::I32 => numbers(bytes, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U8 => numbers(bytes, |[byte]| byte.into()),
        _ => return Err(invalid(view)),
    })
}

/// A number of IEEE 754's 16-bit format.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2.0_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2.0_f64.powi(exponent - 25),
    }
}

/// Writes a file beside `path`, and moves it there once it is on the disk.
fn replace(path: &FilePath, bytes: &[u8]) -> io::Result<()> {
    let (beside, file) = create_beside(path)?;
    let written = write_through(file, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first failure is the one to report.
        _ = fs::remove_file(&beside);
    }
    written?;
    sync_directory(path)
}

/// A new file beside `path`, of a name that no other save uses at the same time: not one of another thread, and not one of a
/// process on another machine, whose number may be the same.
fn create_beside(path: &FilePath) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut count = 0_u64;
    loop {
        let mut name = name.to_os_string();
        name.push(format!(".{}.{count}.new", std::process::id()));
        let beside = path.with_file_name(name);
        match File::create_new(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
            created => return created.map(|file| (beside, file)),
        }
    }
}

fn write_through(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the new name itself durable, where directories can be opened.
fn sync_directory(path: &FilePath) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(FilePath::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm1d, Counter, Linear};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("{}-{name}.safetensors", std::process::id()))
    }

    fn linear(inputs: usize, seed: u64) -> Linear<f64> {
        Linear::new(inputs, 2, &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn what_was_saved_comes_back_bit_for_bit_and_nothing_else_stays() {
        let path = file("round-trip");
        let model = (linear(3, 0), BatchNorm1d::<f64>::new(2));
        // Neither precision of a tensor has this number.
        let batches = (1 << 60) + 1;
        model.1.num_batches_tracked.set(batches);
        let layers: Vec<Linear<f64>> = vec![model.0.clone(), linear(2, 1)];
        save(&path, &layers).unwrap();
        let mut again = vec![linear(3, 5), linear(2, 6)];
        load(&path, &mut again).unwrap();
        assert_eq!(state(&again), state(&layers));
        save(&path, &model.1).unwrap();
        let mut norm = BatchNorm1d::<f64>::new(2);
        load(&path, &mut norm).unwrap();
        assert_eq!(norm.num_batches_tracked.get(), batches);
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor("num_batches_tracked").unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::I64, &[][..]));
        fs::remove_file(&path).unwrap();
        let parent = fs::read_dir(path.parent().unwrap()).unwrap();
        let stem = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!parent.flatten().any(|entry| entry.file_name().to_string_lossy().contains(&stem)));
    }

    #[test]
    fn a_strict_load_lists_all_differences_and_changes_nothing() {
        let path = file("strict");
        save(&path, &vec![linear(3, 0), linear(4, 1), linear(5, 2)]).unwrap();
        let mut model = vec![linear(3, 7).without_bias(), linear(9, 8)];
        let before = state(&model);
        let text = load(&path, &mut model).unwrap_err().to_string();
        let expected = "does not fit the model: 2 tensors fit; unexpected in the file: 0.bias, 2.bias, 2.weight; \
                        1.weight has shape [2, 9] in the model and [2, 4] in the file";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(state(&model), before);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_partial_load_takes_what_fits() {
        let path = file("partial");
        let saved = vec![linear(3, 0), linear(4, 1)];
        save(&path, &saved).unwrap();
        let mut model = vec![linear(3, 7), linear(9, 8), linear(2, 9)];
        let before = state(&model);
        let report = load_partial(&path, &mut model).unwrap();
        assert_eq!(report.loaded, ["0.weight", "0.bias", "1.bias"]);
        assert_eq!(report.missing, ["2.weight", "2.bias"]);
        assert_eq!((report.unexpected.len(), report.mismatched[0].name.as_str()), (0, "1.weight"));
        assert_eq!(state(&model)[0], state(&saved)[0]);
        assert_eq!(state(&model)[2], before[2]);
        fs::remove_file(&path).unwrap();
    }

    /// A file with one number of any type, and what a counter reads of it.
    #[test]
    fn a_count_is_a_whole_number_in_the_file() {
        let path = file("counts");
        let read = |dtype, shape: &[usize], bytes: &[u8]| {
            let stored = Stored { dtype, shape: shape.into(), bytes: bytes.to_vec() };
            fs::write(&path, safetensors::serialize([("steps", stored)], None).unwrap()).unwrap();
            let mut model = Steps { steps: Counter::new(5) };
            let report = load::<f32>(&path, &mut model).map_err(|error| error.to_string());
            (report.is_ok(), model.steps.get())
        };
        assert_eq!(read(Dtype::I64, &[], &(1_i64 << 61).to_le_bytes()), (true, 1 << 61));
        assert_eq!(read(Dtype::I32, &[], &7_i32.to_le_bytes()), (true, 7));
        assert_eq!(read(Dtype::F32, &[], &7_f32.to_le_bytes()), (true, 7));
        assert_eq!(read(Dtype::F32, &[], &7.5_f32.to_le_bytes()), (false, 5));
        assert_eq!(read(Dtype::I64, &[], &(-1_i64).to_le_bytes()), (false, 5));
        assert_eq!(read(Dtype::I64, &[1], &7_i64.to_le_bytes()), (false, 5));
        fs::remove_file(&path).unwrap();
    }

    #[derive(autograd_derive::Module)]
    struct Steps {
        steps: Counter,
    }

    /// As PyTorch's `load_state_dict` with `strict=True`.
    #[test]
    fn a_file_may_lack_the_count_of_batches_and_no_other() {
        let path = file("old");
        let write = |tensors: &[(&str, Tensor<f64>)]| {
            let stored = tensors.iter().map(|(name, tensor)| (*name, Stored::new(&Value::Tensor(tensor.clone()))));
            fs::write(&path, safetensors::serialize(stored, None).unwrap()).unwrap();
        };
        let names = ["weight", "bias", "running_mean", "running_var"];
        write(&names.map(|name| (name, Tensor::full([2], 0.5))));
        let mut norm = BatchNorm1d::<f64>::new(2);
        norm.num_batches_tracked.set(3);
        load(&path, &mut norm).unwrap();
        assert_eq!((norm.weight.value().to_vec(), norm.num_batches_tracked.get()), (vec![0.5; 2], 3));
        write(&[]);
        let text = load::<f64>(&path, &mut Steps { steps: Counter::default() }).unwrap_err().to_string();
        assert!(text.ends_with("0 tensors fit; missing in the file: steps"), "{text}");
        write(
            &names
                .map(|name| (name, Tensor::full([2], 0.5)))
                .into_iter()
                .chain([("num_batches_tracked", Tensor::scalar(3.0))])
                .collect::<Vec<_>>(),
        );
        let text = load::<f64>(&path, &mut crate::GroupNorm::new(1, 2)).unwrap_err().to_string();
        assert!(text.ends_with("unexpected in the file: num_batches_tracked, running_mean, running_var"), "{text}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn both_precisions_read_each_other() {
        let path = file("precision");
        let model = linear(3, 0);
        save(&path, &model).unwrap();
        let mut narrow = Linear::<f32>::new(3, 2, &mut StdRng::seed_from_u64(1));
        load(&path, &mut narrow).unwrap();
        assert_eq!(*narrow.weight.value(), model.weight.value().cast());
        fs::remove_file(&path).unwrap();
    }

    /// Every load sees a model that was saved, whole, and no save is in the way of another.
    #[test]
    fn saves_to_one_path_at_once_do_not_meet() {
        let directory = std::env::temp_dir().join(format!("{}-shared", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("model.safetensors");
        // Of different lengths, so that a mixture of both would be no file at all.
        let models = [(64, 0), (512, 1)].map(|(inputs, seed)| linear(inputs, seed));
        save(&path, &models[0]).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (path, models, done) = (&path, &models, &done);
            let reader = scope.spawn(move || {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let bytes = fs::read(path).unwrap();
                    let file = SafeTensors::deserialize(&bytes).unwrap();
                    let weight = tensor::<f64>(&file.tensor("weight").unwrap()).unwrap();
                    assert!(models.iter().any(|model| weight == *model.weight.value()));
                }
            });
            let writers =
                models.each_ref().map(|model| scope.spawn(move || (0..100).try_for_each(|_| save(path, model))));
            let saved = writers.map(|writer| writer.join().unwrap());
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            reader.join().unwrap();
            saved.into_iter().for_each(|saved| saved.unwrap());
        });
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_save_that_fails_leaves_the_old_file_and_no_other() {
        let directory = std::env::temp_dir().join(format!("{}-failing", std::process::id()));
        let path = directory.join("model.safetensors");
        // A directory that is not empty cannot be replaced by a file.
        fs::create_dir_all(path.join("inside")).unwrap();
        // What a save that was interrupted has left is not in the way.
        let left = directory.join(format!("model.safetensors.{}.0.new", std::process::id()));
        fs::write(&left, b"half a model").unwrap();
        assert!(matches!(save(&path, &linear(3, 0)), Err(FileError::Io { .. })));
        assert_eq!(fs::read(&left).unwrap(), b"half a model");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn files_that_cannot_be_read_or_written_are_errors_with_their_names() {
        let path = file("broken");
        assert!(load(&path, &mut linear(3, 0)).unwrap_err().to_string().contains("broken"));
        fs::write(&path, b"not a model at all").unwrap();
        assert!(matches!(load(&path, &mut linear(3, 0)), Err(FileError::Format { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(save(path.join("inside"), &linear(3, 0)), Err(FileError::Io { .. })));
        assert!(matches!(save("..", &linear(3, 0)), Err(FileError::Io { .. })));
    }

    #[test]
    fn a_file_error_becomes_an_error_of_autograd_at_the_line_of_the_question_mark() {
        fn fails() -> autograd::Result<()> {
            Ok(load("none/at/all", &mut linear(3, 0))?)
        }
        let (line, error) = (line!() - 2, fails().unwrap_err());
        assert_eq!((error.op, error.location.file(), error.location.line()), ("file", file!(), line));
        assert!(error.to_string().starts_with("file: none/at/all: "), "{error}");
        let boxed: Box<dyn std::error::Error> = load("none/at/all", &mut linear(3, 0)).unwrap_err().into();
        assert!(boxed.to_string().starts_with("none/at/all: "), "{boxed}");
    }

    #[test]
    fn half_precision_is_read() {
        let cases =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 2.0_f64.powi(-24)), (0x7bff, 65504.0), (0x7c00, f64::INFINITY)];
        assert!(cases.iter().all(|&(bits, x)| half(bits) == x));
        assert!(half(0x7e00).is_nan());
    }
}
