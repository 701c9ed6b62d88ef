"""GLEE-Net: the branches and the classifier, composed."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from .au_classifier import AUPrediction
from .coefficient_branch import CoefficientBranch
from .identity_adversary import AdversarialPrediction, IdentityAdversary
from .local_branch import LocalBranch


class GLEENet(nn.Module):
    """E_exp = G_exp + L_exp; F_exp = [E_exp, f_exp]; the classifier predicts the AUs from F_exp.

    Parameters
    ----------
    global_branch : nn.Module or None
        Image -> G_exp; None leaves the branch out.
    local_branch : LocalBranch or None
        Image -> L_exp.
    coefficient_branch : CoefficientBranch or None
        Standardises f_exp.
    classifier : nn.Module
        F_exp -> AUPrediction.
    fixed_expression : bool
        Global and local branch never change (Table 5, "w. fixed GB & LB").
    identity_adversary : IdentityAdversary, optional
        Sees E_exp while training, an option beyond the paper.
    """

    def __init__(
        self,
        global_branch: nn.Module | None,
        local_branch: LocalBranch | None,
        coefficient_branch: CoefficientBranch | None,
        classifier: nn.Module,
        *,
        fixed_expression: bool = False,
        identity_adversary: IdentityAdversary | None = None,
    ) -> None:
        super().__init__()
        self.global_branch = global_branch
        self.local_branch = local_branch
        self.coefficient_branch = coefficient_branch
        self.classifier = classifier
        self.identity_adversary = identity_adversary
        self.fixed_expression = fixed_expression
        if fixed_expression:
            for branch in self._expression_branches():
                branch.requires_grad_(False)

    def _expression_branches(self) -> list[nn.Module]:
        return [branch for branch in (self.global_branch, self.local_branch) if branch is not None]

    def train(self, mode: bool = True) -> Self:
        """Set training mode; fixed branches stay in evaluation mode, statistics included.

        Parameters
        ----------
        mode : bool
            False for evaluation mode.

        Returns
        -------
        GLEENet
            The network itself.
        """
        super().train(mode)
        if self.fixed_expression:
            for branch in self._expression_branches():
                branch.eval()
        return self

    def embed(self, image: Tensor, identity: Tensor | None = None) -> Tensor:
        """Compute the expression embedding E_exp.

        Parameters
        ----------
        image : (b, 3, s, s) float32
            RGB, (value - 127.5) / 128.
        identity : (b, d) float32, optional
            V_id, where it is known already (see `GlobalBranch`).

        Returns
        -------
        (b, embedding width) float32
            E_exp.
        """
        parts = []
        if self.global_branch is not None:
            known = () if identity is None else (identity,)
            parts.append(self.global_branch(image, *known))
        if self.local_branch is not None:
            parts.append(self.local_branch(image))
        return torch.stack(parts).sum(0)

    def represent(self, image: Tensor, f_exp: Tensor, identity: Tensor | None = None) -> Tensor:
        """Compute the joint representation F_exp.

        Parameters
        ----------
        image : (b, 3, s, s) float32
            RGB, (value - 127.5) / 128.
        f_exp : (b, e) float32
            As fitted; NaN where a frame was not fitted.
        identity : (b, d) float32, optional
            V_id, where it is known already.

        Returns
        -------
        (b, representation width) float32
            F_exp = [E_exp, f_exp].
        """
        parts = [self.embed(image, identity)] if self._expression_branches() else []
        if self.coefficient_branch is not None:
            parts.append(self.coefficient_branch(f_exp))
        return torch.cat(parts, 1)

    def forward(
        self, image: Tensor, f_exp: Tensor, identity: Tensor | None = None
    ) -> AUPrediction | AdversarialPrediction:
        """Predict the AUs of b frames.

        Parameters
        ----------
        image : (b, 3, s, s) float32
            RGB, (value - 127.5) / 128.
        f_exp : (b, e) float32
            As fitted; NaN where a frame was not fitted.
        identity : (b, d) float32, optional
            V_id, where it is known already.

        Returns
        -------
        AUPrediction or AdversarialPrediction
            Logits of the initial and the final prediction; in training with an adversary its logits
            beside them.
        """
        joint = self.represent(image, f_exp, identity)
        prediction: AUPrediction = self.classifier(joint)
        if self.identity_adversary is not None and self.training:
            embedding = joint[:, : self.identity_adversary.width]
            return AdversarialPrediction(*prediction, self.identity_adversary(embedding))
        return prediction
