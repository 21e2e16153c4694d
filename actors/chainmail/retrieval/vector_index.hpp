// Vectors by ID, and which of them are nearest to another.
#pragma once

#include <chainmail/retrieval.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace chainmail {

class vector_graph;

/// A vector that was found.
struct vector_match {
  uint64_t id = 0;
  /// Cosine similarity.
  float score = 0;
};

/// Holds vectors of one dimension and one model at unit length: 4 bytes a number. Looks at each of
/// them as long as they are few, and searches an HNSW graph when they are many. For one thread.
class vector_index {
public:
  /// Up to this many vectors, each is looked at: with 256 numbers each, 20,000 take 0.5 ms. The
  /// graph takes 2 ms for as many, and 0.3 to 2 ms to add each of them; it wins above some 100,000.
  static constexpr size_t default_exact_up_to = 50'000;

  explicit vector_index(size_t exact_up_to = default_exact_up_to);
  vector_index(vector_index&&) noexcept;
  vector_index& operator=(vector_index&&) noexcept;
  ~vector_index();

  // -- what it holds ------------------------------------------------------------------

  [[nodiscard]] size_t size() const;
  [[nodiscard]] uint32_t dimension() const { return content_->dimension; }
  [[nodiscard]] const std::string& model() const { return content_->model; }
  /// While no vector is in the graph.
  [[nodiscard]] bool is_exact() const { return content_->graph == nullptr; }

  /// How many vectors belong into the graph and are not yet there. A search looks at each of them.
  [[nodiscard]] size_t unlinked() const;
  [[nodiscard]] bool contains(uint64_t id) const;

  /// The highest ID that was ever added; 0 before the first.
  [[nodiscard]] uint64_t last_id() const { return content_->last_id; }

  /// Ascending.
  [[nodiscard]] std::vector<uint64_t> ids() const;

  // -- changing it --------------------------------------------------------------------

  /// errc::invalid_input for rows that add() would refuse: of another dimension or model than those
  /// before them, of no length, or not finite.
  [[nodiscard]] caf::error check(const embeddings& rows) const;

  /// Adds one vector for each ID, or none. IDs ascend, from call to call too, so none comes twice.
  /// Errors are those of check().
  caf::error add(std::span<const uint64_t> ids, const embeddings& rows);

  /// How many of them there were. When more than half of what is held is removed vectors, those are
  /// dropped, and the graph is to be linked anew. An index without vectors takes those of any model.
  size_t remove(std::span<const uint64_t> ids);

  /// Puts up to `most` of the unlinked vectors into the graph, which takes 0.3 to 2 ms for each.
  void link(size_t most);

  // -- searching ----------------------------------------------------------------------

  /// The k nearest, best first; of equals the one with the lower ID. errc::invalid_input for a query
  /// that add() would refuse. Of 20,000 vectors of 256 numbers in a graph, it finds at least 98 of
  /// 100 that it should (Gaussian noise; 100 of 100 in clusters, as embeddings are).
  [[nodiscard]] caf::expected<std::vector<vector_match>> nearest(
      std::span<const float> query, size_t k) const;

  /// The k nearest of `allowed`, which ascends; each of these is looked at, unknown ones are left
  /// out.
  [[nodiscard]] caf::expected<std::vector<vector_match>> nearest_of(
      std::span<const uint64_t> allowed, std::span<const float> query, size_t k) const;

  /// Maximal marginal relevance (Carbonell, Goldstein 1998), as LangChain has it: takes the best of
  /// `found`, then by turns the one with the most `lambda` * score - (1 - lambda) * similarity to
  /// the nearest one taken.
  [[nodiscard]] std::vector<vector_match> diverse(
      const std::vector<vector_match>& found, size_t k, double lambda) const;

  // -- files --------------------------------------------------------------------------

  /// Writes all of it to a new file in the folder of `path`, and puts that in place of the old one:
  /// whenever the process ends, one of the two is there, and whole. `mark` is the caller's own.
  [[nodiscard]] caf::error save(const std::string& path, uint64_t mark) const;

  /// Reads what save() wrote. errc::not_found when there is no such file, and
  /// errc::malformed_response for one that is cut, changed, foreign, or of another version.
  [[nodiscard]] static caf::expected<vector_index> load(
      const std::string& path, uint64_t& mark, size_t exact_up_to = default_exact_up_to);

private:
  friend class vector_file;

  /// Behind a pointer: the graph refers to the vectors.
  struct content {
    std::string model;
    uint32_t dimension = 0;
    /// Of each row; ascending.
    std::vector<uint64_t> ids;
    std::vector<uint8_t> is_alive;
    std::vector<float> vectors;
    size_t dead = 0;
    /// Of all that ever were.
    uint64_t last_id = 0;
    std::unique_ptr<vector_graph> graph;

    [[nodiscard]] const float* row(size_t index) const { return &vectors[index * dimension]; }
  };

  static constexpr size_t none = SIZE_MAX;

  /// The row of a vector that was not removed, or `none`.
  [[nodiscard]] size_t row_of(uint64_t id) const;
  [[nodiscard]] caf::expected<std::vector<float>> prepare(std::span<const float> query) const;
  void drop_dead_rows();

  size_t exact_up_to_;
  std::unique_ptr<content> content_;
};

} // namespace chainmail
