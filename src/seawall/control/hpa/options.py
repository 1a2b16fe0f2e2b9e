"""The flags and feature gates of kube-controller-manager that bear on an HPA, with their defaults in 1.36."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.fleet.hpa_spec import HpaSpec


@dataclass(frozen=True, slots=True)
class HpaOptions:
    """Source: Kubernetes, pkg/controller/podautoscaler/config/v1alpha1/defaults.go and pkg/features.

    The scale-up limit (factor, minimum) is a constant of the controller, for HPAs without behavior.
    """

    sync_period_seconds: float = 15.0
    downscale_stabilization_seconds: float = 300.0
    tolerance: float = 0.1
    cpu_initialization_seconds: float = 300.0
    initial_readiness_delay_seconds: float = 30.0
    scale_up_limit_factor: float = 2.0
    scale_up_limit_minimum: float = 4.0
    configurable_tolerance: bool = True
    scale_to_zero: bool = False
    pod_level_resources: bool = True


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far the usage ratio may lie from 1, on either side, without a change."""

    down: float
    up: float

    def holds(self, usage_ratio: float) -> bool:
        """Whether the ratio is within the tolerances, both ends included."""
        return (1.0 - self.down) <= usage_ratio <= (1.0 + self.up)

    @staticmethod
    def of(spec: HpaSpec, options: HpaOptions) -> Tolerances:
        """The flag's, unless the HPA's behavior gives its own and the gate HPAConfigurableTolerance is on."""
        down = up = options.tolerance
        if spec.behavior is not None and options.configurable_tolerance:
            if spec.behavior.scale_down.tolerance is not None:
                down = spec.behavior.scale_down.tolerance
            if spec.behavior.scale_up.tolerance is not None:
                up = spec.behavior.scale_up.tolerance
        return Tolerances(down, up)
