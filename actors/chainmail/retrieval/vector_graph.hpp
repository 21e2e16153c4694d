// The HNSW graph over an index's vectors (Malkov, Yashunin 2016), by hnswlib.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace chainmail {

/// The links of a graph, as they are saved.
struct graph_links {
  uint32_t entry = 0;
  /// Of each row: on how many levels above the ground it is.
  std::vector<uint8_t> levels;
  /// Of each row: how many links it has on the ground, then room for 2 M of them.
  std::vector<uint32_t> ground;
  /// Of each row, for each of its levels: how many links, then room for M of them.
  std::vector<uint32_t> above;
};

/// Finds the rows whose vectors are nearest to a query, or nearly those. It refers to the vectors
/// and does not copy them: a row costs about 250 bytes here. For one thread.
class vector_graph {
public:
  /// Links of a row on each level above the ground; twice that on the ground.
  static constexpr size_t links_per_row = 16;

  /// `vectors` are rows of unit length, and outlive the graph. It is empty at first.
  vector_graph(const std::vector<float>& vectors, uint32_t dimension);
  vector_graph(const vector_graph&) = delete;
  vector_graph& operator=(const vector_graph&) = delete;
  ~vector_graph();

  /// How many rows are in it: the first ones of the vectors.
  [[nodiscard]] size_t size() const;

  /// Puts the next row in.
  void add();

  /// A row that is removed is passed through, but not found.
  void remove(uint32_t row);

  /// At most k rows, in no order.
  [[nodiscard]] std::vector<uint32_t> nearest(const float* query, size_t k) const;

  [[nodiscard]] graph_links links() const;

  /// Of as many rows as the links are of. Null for links that lead where nothing is: no graph ever
  /// had them.
  static std::unique_ptr<vector_graph> restore(const std::vector<float>& vectors,
      uint32_t dimension, const graph_links& links, std::span<const uint8_t> is_alive);

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace chainmail
