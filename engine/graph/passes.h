// Passes: rewrite an imported float graph into the few fused operators that the integer engine is fast at.
//
//   BITSTAGE_RETURN_IF_ERROR(Optimize(model.graph));
//
// Every pass keeps what the graph computes, up to float rounding, and the names, shapes and order of its inputs and
// outputs. Each is one sweep over the nodes and says whether it changed something. None looks through a value that is a
// graph output or, where it would have to compute something twice, that has a second reader. Value and constant ids
// change; names of what stays do not.
#pragma once

#include "absl/status/status.h"
#include "engine/graph/graph.h"

namespace bitstage {

// Runs all passes in the order below until none changes the graph, then Validates it.
// Requires a validated graph. FAILED_PRECONDITION for one that is quantized already (codes or grids).
absl::Status Optimize(Graph& graph);

// Tidying first, so that producer and consumer stand next to each other for the passes below.
bool RemoveIdentities(Graph& graph);  // nodes that hand on their input unchanged, whatever their operator
bool MergeReshapes(Graph& graph);     // a reshape of a reshape

// Batch norms and other per-channel arithmetic become one operator, which disappears into a neighbour's weights.
bool ConstantsToAffine(Graph& graph);       // x ± c, c − x, x · c with c per channel → ChannelAffine
bool MergeAffines(Graph& graph);            // an affine of an affine
bool FoldAffineIntoProducer(Graph& graph);  // … after Conv, ConvTranspose, FullyConnected
bool FoldAffineIntoConsumer(Graph& graph);  // … before them, where padding does not see the shift

// Padding becomes a window's own, so that no padded copy is made.
bool FoldPads(Graph& graph);

// Clamps before residuals: a convolution that has a clamp already cannot take a residual any more.
bool HoistClamps(Graph& graph);    // a clamp after a max pool or a reshape moves in front of it
bool FuseClamps(Graph& graph);     // … into the operator that makes its input, or into another clamp
bool FuseResiduals(Graph& graph);  // an add into the later of the two convolutions that feed it

// Last, when fully connected layers have their clamps: C x H x W maps are never flattened, which would reorder codes.
bool FullyConnectedToConv(Graph& graph);

// Nodes, values and constants that no output depends on (graph inputs stay). Also makes names unique again.
void DropUnused(Graph& graph);

}  // namespace bitstage
