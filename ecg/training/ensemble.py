"""The members of an ensemble with their scaling, as one module: it is trained, and exported as the ONNX file."""

import torch
from torch import Tensor, nn

from ecg.training.scaling import Scaling


class Ensemble(nn.Module):
    """An autoencoder's K members with their scaling: raw beats in; reconstruction, step errors and scores out."""

    def __init__(self, members: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.members = members
        self.filter = nn.Buffer(torch.from_numpy(scaling.filter))
        self.mean = nn.Buffer(torch.from_numpy(scaling.mean))
        self.deviation = nn.Buffer(torch.from_numpy(scaling.deviation))
        # A step that changes nothing is left out of the exported model.
        self.filters, self.standardises = scaling.filters, scaling.standardises

    def scaled(self, beats: Tensor) -> Tensor:
        """Scale raw beats of any shape (..., L)."""
        if self.filters:
            beats = beats @ self.filter
        return (beats - self.mean) / self.deviation if self.standardises else beats

    def errors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The residual of scaled beats and the error at each step: `x` (K or 1, B, L) -> (K, B, L) both."""
        output = self.members(x)
        reconstruction, *second = output if isinstance(output, tuple) else (output,)
        residual = x - reconstruction
        own = getattr(self.members, "own_errors", False)
        return residual, second[0] if own else sum(second, residual.square())

    def member_errors(self, beats: Tensor) -> Tensor:
        """Each member's mean error over a beat: raw beats (K, B, L), or (1, B, L) for all alike, -> (K, B)."""
        _, step_error = self.errors(self.scaled(beats))
        return step_error.mean(-1)

    def forward(self, beats: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Raw beats (B, L) -> reconstruction in raw units (B, L), error at each step (B, L), scores (B,) and (B, K).

        A score is the mean error over the steps. The first three outputs are means over the members; the last one has
        the score of each member. The reconstruction includes what the filter removes from a beat: beat minus
        reconstruction is the mean residual of the members.
        """
        residual, member_step_error = self.errors(self.scaled(beats).unsqueeze(0))  # (K, B, L)
        step_error = member_step_error.mean(0)  # (B, L)
        residual = residual.mean(0)  # (B, L)
        if self.standardises:
            residual = residual * self.deviation
        return beats - residual, step_error, step_error.mean(-1), member_step_error.mean(-1).transpose(0, 1)
