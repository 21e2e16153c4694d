// The file of a vector index. All numbers are little-endian:
//   "chmvecs\n", version, rows in the graph, dimension, length of the model's name, entry row,
//   0 (32 bits each); mark, last ID, rows, numbers in the lists above the ground (64 bits each);
//   the model's name; the IDs (64 bits each); one byte a row, 0 for a removed one; the vectors;
//   of those rows: levels (one byte each), links on the ground, links above (32 bits each);
//   CRC-32 of all of it (as in zlib).
#include <chainmail/errors.hpp>
#include <chainmail/retrieval/vector_graph.hpp>
#include <chainmail/retrieval/vector_index.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <zlib.h>

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

namespace chainmail {

namespace {

constexpr std::array<char, 8> magic = {'c', 'h', 'm', 'v', 'e', 'c', 's', '\n'};
constexpr uint32_t version = 1;

struct file_header {
  std::array<char, 8> magic_word = magic;
  uint32_t format = version;
  uint32_t linked = 0;
  uint32_t dimension = 0;
  uint32_t model_length = 0;
  uint32_t entry = 0;
  uint32_t unused = 0;
  uint64_t mark = 0;
  uint64_t last_id = 0;
  uint64_t rows = 0;
  uint64_t above = 0;
};

static_assert(sizeof(file_header) == 64);

constexpr uint64_t ground_list = 1 + 2 * vector_graph::links_per_row;
constexpr uint64_t list_above = 1 + vector_graph::links_per_row;

class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }

private:
  int fd_;
};

std::string system_message(int code) {
  return std::system_category().message(code);
}

// -- writing --------------------------------------------------------------------------------

/// Writes and adds up; after a failure it only remembers that.
class file_writer {
public:
  explicit file_writer(int fd) : fd_(fd) {}

  template <class T>
  void put(const T* data, size_t count) {
    if (count > 0) // zlib starts anew when there is no data
      bytes(reinterpret_cast<const unsigned char*>(data), count * sizeof(T));
  }

  void put_sum() {
    auto sum = static_cast<uint32_t>(sum_);
    put(&sum, 1);
  }

  /// The errno of the first failure, or 0.
  [[nodiscard]] int problem() const { return problem_; }

private:
  void bytes(const unsigned char* data, size_t size) {
    sum_ = crc32_z(sum_, data, size);
    while (size > 0 && problem_ == 0) {
      auto written = ::write(fd_, data, size);
      if (written < 0 && errno != EINTR)
        problem_ = errno;
      if (written > 0) {
        data += written;
        size -= static_cast<size_t>(written);
      }
    }
  }

  int fd_;
  uLong sum_ = crc32_z(0, nullptr, 0);
  int problem_ = 0;
};

// -- reading --------------------------------------------------------------------------------

class file_reader {
public:
  explicit file_reader(int fd) : fd_(fd) {}

  /// False when the file ends first, or cannot be read.
  template <class T>
  bool get(T* data, size_t count) {
    if (count == 0) // zlib starts anew when there is no data
      return true;
    auto* to = reinterpret_cast<unsigned char*>(data);
    auto size = count * sizeof(T);
    for (size_t done = 0; done < size;) {
      auto got = ::read(fd_, to + done, size - done);
      if (got == 0 || (got < 0 && errno != EINTR))
        return false;
      if (got > 0)
        done += static_cast<size_t>(got);
    }
    sum_ = crc32_z(sum_, to, size);
    return true;
  }

  template <class T>
  bool get(std::vector<T>& to, size_t count) {
    to.resize(count);
    return get(to.data(), count);
  }

  bool sum_is_right() {
    auto expected = static_cast<uint32_t>(sum_);
    uint32_t given = 0;
    return get(&given, 1) && given == expected;
  }

private:
  int fd_;
  uLong sum_ = crc32_z(0, nullptr, 0);
};

/// False when the parts do not make up a file of that size. Counts are bounded by the size before
/// they are multiplied, so nothing overflows.
bool fits(const file_header& header, uint64_t size) {
  if (header.linked > header.rows || header.rows > UINT32_MAX - 1 || header.dimension > size ||
      header.model_length > size || header.above > size ||
      (header.rows == 0) != (header.dimension == 0))
    return false;
  auto per_row = sizeof(uint64_t) + 1 + sizeof(float) * uint64_t{header.dimension};
  auto per_link = 1 + sizeof(uint32_t) * ground_list;
  if (header.rows > size / per_row || header.linked > size / per_link)
    return false;
  return sizeof header + header.model_length + header.rows * per_row + header.linked * per_link +
             sizeof(uint32_t) * header.above + sizeof(uint32_t) ==
         size;
}

bool is_unit(const float* vector, size_t dimension) {
  double sum = 0;
  for (size_t i = 0; i < dimension; ++i)
    sum += double{vector[i]} * double{vector[i]};
  return std::abs(sum - 1) < 0.001; // false for what is not finite
}

} // namespace

/// The private parts of an index, to and from a file.
class vector_file {
public:
  using content = vector_index::content;

  static caf::error write(const content& from, int fd, uint64_t mark) {
    file_header header;
    graph_links links;
    if (from.graph)
      links = from.graph->links();
    header.linked = static_cast<uint32_t>(links.levels.size());
    header.dimension = from.dimension;
    header.model_length = static_cast<uint32_t>(from.model.size());
    header.entry = links.entry;
    header.mark = mark;
    header.last_id = from.last_id;
    header.rows = from.ids.size();
    header.above = links.above.size();
    file_writer out{fd};
    out.put(&header, 1);
    out.put(from.model.data(), from.model.size());
    out.put(from.ids.data(), from.ids.size());
    out.put(from.is_alive.data(), from.is_alive.size());
    out.put(from.vectors.data(), from.vectors.size());
    out.put(links.levels.data(), links.levels.size());
    out.put(links.ground.data(), links.ground.size());
    out.put(links.above.data(), links.above.size());
    out.put_sum();
    auto problem = out.problem();
    if (problem == 0 && ::fsync(fd) != 0)
      problem = errno;
    return problem == 0 ? caf::error{} : make_failure(errc::internal, system_message(problem));
  }

  /// What is wrong with the file, or nullptr.
  static const char* read(int fd, uint64_t size, content& into, uint64_t& mark) {
    file_header header;
    file_reader in{fd};
    if (size < sizeof header || !in.get(&header, 1))
      return "is too short to be one";
    if (header.magic_word != magic)
      return "is something else";
    if (header.format != version)
      return "has another version than this program's";
    if (!fits(header, size))
      return "is cut, or was changed: its size is not what its first bytes say";
    graph_links links;
    into.model.resize(header.model_length);
    auto numbers = header.rows * header.dimension;
    auto is_read = in.get(into.model.data(), header.model_length) &&
                   in.get(into.ids, header.rows) && in.get(into.is_alive, header.rows) &&
                   in.get(into.vectors, numbers);
    if (is_read && header.linked > 0)
      is_read = in.get(links.levels, header.linked) &&
                in.get(links.ground, header.linked * ground_list) &&
                in.get(links.above, header.above);
    if (!is_read)
      return "cannot be read to its end";
    if (!in.sum_is_right())
      return "was changed: its checksum is wrong";
    into.dimension = header.dimension;
    into.last_id = header.last_id;
    links.entry = header.entry;
    if (!makes_sense(into))
      return "holds vectors that no index can have";
    into.dead = static_cast<size_t>(std::count(into.is_alive.begin(), into.is_alive.end(), 0));
    if (header.linked > 0) {
      uint64_t above = 0;
      for (auto level : links.levels)
        above += level * list_above;
      if (above == header.above)
        into.graph = vector_graph::restore(into.vectors, into.dimension, links, into.is_alive);
      if (!into.graph)
        return "holds a graph that no index can have";
    }
    mark = header.mark;
    return nullptr;
  }

private:
  static bool makes_sense(const content& x) {
    if (std::adjacent_find(x.ids.begin(), x.ids.end(), std::greater_equal<>{}) != x.ids.end() ||
        (!x.ids.empty() && x.ids.back() > x.last_id))
      return false;
    if (std::any_of(x.is_alive.begin(), x.is_alive.end(), [](uint8_t flag) { return flag > 1; }))
      return false;
    for (size_t row = 0; row < x.ids.size(); ++row)
      if (!is_unit(x.row(row), x.dimension))
        return false;
    return true;
  }
};

caf::error vector_index::save(const std::string& path, uint64_t mark) const {
  auto fresh = path + ".new";
  auto failed = [&path](const std::string& why) {
    return make_failure(errc::internal, "the vectors cannot be saved in " + path + ": " + why +
                                            "; what was saved before is still there");
  };
  {
    descriptor file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (file.get() < 0)
      return failed(system_message(errno));
    if (auto error = vector_file::write(*content_, file.get(), mark)) {
      ::unlink(fresh.c_str());
      return failed(sentence_of(error));
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return failed(system_message(errno));
  auto slash = path.rfind('/');
  auto folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  descriptor parent{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (parent.get() < 0 || ::fsync(parent.get()) != 0)
    return failed(system_message(errno));
  return {};
}

caf::expected<vector_index> vector_index::load(
    const std::string& path, uint64_t& mark, size_t exact_up_to) {
  descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0)
    return make_failure(errno == ENOENT ? errc::not_found : errc::invalid_input,
        "the vector file " + path + " cannot be opened: " + system_message(errno));
  vector_index result{exact_up_to};
  auto& content = *result.content_;
  const auto* problem = "is no file";
  if (S_ISREG(about.st_mode))
    problem = vector_file::read(file.get(), static_cast<uint64_t>(about.st_size), content, mark);
  if (problem != nullptr)
    return make_failure(errc::malformed_response, "the vector file " + path + " " + problem +
                                                      "; put a copy of it back, or delete its "
                                                      "folder and index the documents again");
  if (content.ids.size() <= exact_up_to)
    content.graph = nullptr;
  return result;
}

} // namespace chainmail
