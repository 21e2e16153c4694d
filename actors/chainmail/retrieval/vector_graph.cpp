// hnswlib, told that a vector is the number of its row.
#include <chainmail/retrieval/dot_product.hpp>
#include <chainmail/retrieval/vector_graph.hpp>

// Its own arithmetic reads past the end of link lists, and defines global functions.
#define NO_MANUAL_VECTORIZATION
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <hnswlib/hnswlib.h>
#include <new>

namespace chainmail {

namespace {

using hnsw = hnswlib::HierarchicalNSW<float>;

constexpr size_t ef_construction = 200;
/// For 20,000 vectors of 256 numbers. Gaussian noise: 500 finds 89 of 100, 1,500 finds 99, in 3 to 8
/// ms. In 100 clusters 500 finds all.
constexpr size_t ef_search = 1500;

/// The row that is not one: the query.
constexpr uint32_t query_row = UINT32_MAX;

} // namespace

struct vector_graph::parts {
  class row_space : public hnswlib::SpaceInterface<float> {
  public:
    row_space(const std::vector<float>& vectors, uint32_t dimension)
      : vectors_(vectors), dimension_(dimension) {}

    size_t get_data_size() override { return sizeof(uint32_t); }
    hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
    void* get_dist_func_param() override { return this; }

    void set_query(const float* query) { query_ = query; }

  private:
    [[nodiscard]] const float* at(const void* data) const {
      uint32_t row = 0;
      std::memcpy(&row, data, sizeof row);
      return row == query_row ? query_ : &vectors_[size_t{row} * dimension_];
    }

    static float distance(const void* x, const void* y, const void* space) {
      const auto& self = *static_cast<const row_space*>(space);
      return 1 - dot_product(self.at(x), self.at(y), self.dimension_);
    }

    const std::vector<float>& vectors_;
    uint32_t dimension_;
    const float* query_ = nullptr;
  };

  parts(const std::vector<float>& vectors, uint32_t dimension, size_t capacity)
    : space(vectors, dimension),
      graph(&space, std::max<size_t>(capacity, 1024), links_per_row, ef_construction) {
    graph.setEf(ef_search);
  }

  row_space space;
  hnsw graph;
};

vector_graph::vector_graph(const std::vector<float>& vectors, uint32_t dimension)
  : parts_(std::make_unique<parts>(vectors, dimension, vectors.size() / dimension)) {
}

vector_graph::~vector_graph() = default;

size_t vector_graph::size() const {
  return parts_->graph.cur_element_count;
}

void vector_graph::add() {
  auto& graph = parts_->graph;
  auto row = static_cast<uint32_t>(graph.cur_element_count);
  if (graph.cur_element_count == graph.max_elements_)
    graph.resizeIndex(2 * graph.max_elements_);
  graph.addPoint(&row, row, -1);
}

void vector_graph::remove(uint32_t row) {
  parts_->graph.markDelete(row);
}

std::vector<uint32_t> vector_graph::nearest(const float* query, size_t k) const {
  parts_->space.set_query(query);
  auto found = parts_->graph.searchKnn(&query_row, k);
  std::vector<uint32_t> result;
  for (; !found.empty(); found.pop())
    result.push_back(static_cast<uint32_t>(found.top().second));
  return result;
}

// -- saved links ----------------------------------------------------------------------------

graph_links vector_graph::links() const {
  const auto& graph = parts_->graph;
  graph_links result;
  auto copy = [&graph](uint32_t row, int level, size_t most, std::vector<uint32_t>& to) {
    auto* list = graph.get_linklist_at_level(row, level);
    auto count = graph.getListCount(list);
    to.push_back(count);
    to.insert(to.end(), list + 1, list + 1 + count);
    to.resize(to.size() + most - count);
  };
  auto rows = static_cast<uint32_t>(graph.cur_element_count);
  result.entry = graph.enterpoint_node_;
  result.levels.reserve(rows);
  result.ground.reserve(size_t{rows} * (1 + 2 * links_per_row));
  for (uint32_t row = 0; row < rows; ++row) {
    result.levels.push_back(static_cast<uint8_t>(graph.element_levels_[row]));
    copy(row, 0, size_t{2} * links_per_row, result.ground);
    for (int level = 1; level <= graph.element_levels_[row]; ++level)
      copy(row, level, links_per_row, result.above);
  }
  return result;
}

std::unique_ptr<vector_graph> vector_graph::restore(const std::vector<float>& vectors,
    uint32_t dimension, const graph_links& links, std::span<const uint8_t> is_alive) {
  auto result = std::make_unique<vector_graph>(vectors, dimension);
  auto& graph = result->parts_->graph;
  auto rows = static_cast<uint32_t>(links.levels.size());
  auto top = *std::max_element(links.levels.begin(), links.levels.end());
  if (links.entry >= rows || links.levels[links.entry] != top)
    return nullptr;
  const auto* above = links.above.data();
  // True when the list was one that hnswlib might have made.
  auto put = [&](uint32_t row, int level, size_t most, const uint32_t* from, uint32_t* to) {
    if (from[0] > most)
      return false;
    std::memcpy(to, from, (1 + size_t{from[0]}) * sizeof(uint32_t));
    return std::all_of(from + 1, from + 1 + from[0], [&](uint32_t neighbor) {
      return neighbor < rows && neighbor != row && links.levels[neighbor] >= level;
    });
  };
  for (uint32_t row = 0; row < rows; ++row) {
    // The count goes first: the destructor frees as many lists.
    graph.cur_element_count = row + 1;
    auto level = links.levels[row];
    graph.element_levels_[row] = 0;
    auto* data = graph.data_level0_memory_ + row * graph.size_data_per_element_;
    std::memset(data, 0, graph.size_data_per_element_);
    graph.setExternalLabel(row, row);
    std::memcpy(graph.getDataByInternalId(row), &row, sizeof row);
    graph.label_lookup_[row] = row;
    const auto* ground = &links.ground[size_t{row} * (1 + 2 * links_per_row)];
    if (!put(row, 0, 2 * links_per_row, ground, graph.get_linklist0(row)))
      return nullptr;
    if (level == 0)
      continue;
    graph.linkLists_[row] = static_cast<char*>(std::calloc(level, graph.size_links_per_element_));
    if (graph.linkLists_[row] == nullptr)
      throw std::bad_alloc{};
    graph.element_levels_[row] = level;
    for (int i = 1; i <= level; ++i, above += 1 + links_per_row)
      if (!put(row, i, links_per_row, above, graph.get_linklist(row, i)))
        return nullptr;
  }
  graph.enterpoint_node_ = links.entry;
  graph.maxlevel_ = top;
  // So that the rows to come are not put on the same levels in the same order.
  graph.level_generator_.seed(rows);
  for (uint32_t row = 0; row < rows; ++row)
    if (is_alive[row] == 0)
      graph.markDeletedInternal(row);
  return result;
}

} // namespace chainmail
