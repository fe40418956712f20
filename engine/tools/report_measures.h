// What a report page shows, measured: model by model, answer by answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/data/dataset.h"
#include "engine/graph/model.h"
#include "engine/report/report.h"

namespace bitstage {

// What the file alone tells: layers, cuts, bytes, provenance. `name`: how the page calls it.
report::ModelReport DescribeModel(const Model& model, const std::string& name, int64_t file_bytes);

// Histograms of every value that `model` rounds to a grid, before it is rounded, on the images of `indices`.
absl::StatusOr<std::vector<report::Activation>> MeasureActivations(const Model& model, const Dataset& data,
                                                                   const std::vector<int64_t>& indices,
                                                                   ThreadPool* pool);

// What rounding one layer alone to `bits` does; by the names of the layers.
absl::StatusOr<std::vector<report::Sensitivity>> MeasureReportSensitivities(const Model& float_model,
                                                                            const Dataset& data,
                                                                            const std::vector<int64_t>& indices,
                                                                            int bits, ThreadPool* pool);

// The outputs of all models for all images: fills accuracies, pairs, changed images and confusions of `report`, whose
// models are those of `models` in order. `float_model` may be null. `pictures`: of changed images, at most.
// INVALID_ARGUMENT for networks that do not classify or whose classes differ in number, naming the model.
absl::Status MeasureAnswers(const std::vector<std::shared_ptr<const Model>>& models,
                            const std::shared_ptr<const Model>& float_model, const Dataset& data,
                            const std::vector<int64_t>& indices, int64_t pictures, ThreadPool* pool,
                            report::Report& report);

}  // namespace bitstage
