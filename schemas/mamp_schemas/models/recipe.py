"""Training recipes: every setting of a run. Defaults are the paper's (section 4.2; reference.md, sections 3 to 5)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self, cast

from pydantic import (
    AfterValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WrapValidator,
    model_serializer,
    model_validator,
)
from pydantic_core import to_json

from mamp_schemas.builtin import DEFAULT_OBJECTIVE
from mamp_schemas.errors import ConfigError, UsageError
from mamp_schemas.models.base import Line, Model, Name, parse_model_data
from mamp_schemas.models.dataset import DatasetName, fixed_spec
from mamp_schemas.models.plain_data import MAX_INTEGER
from mamp_schemas.models.splits import SplitProtocolName, Subset
from mamp_schemas.registry import OBJECTIVES, PROTOCOLS, unknown_name

MAX_COUNT = 2**31 - 1
"""The largest number of clips, frames or shards in a recipe."""

WEIGHT_BYTES = 4
"""Of a weight, which is a float32."""

MAX_STATE_BYTES = 10**12
"""The most that a network's weights, their gradients and AdamW's two moments may take, all of them float32."""


class ModelSpec(Model):
    """The transformer's shape.

    Attributes:
        joints: V.
        frames: T, the length clips are resized to.
        segment: l, frames of one joint that form a token; L = T/l · V tokens.
        width, depth, heads: the encoder's D, blocks and attention heads.
        mlp_ratio: hidden width of a block's MLP over D.
        decoder_width, decoder_depth, decoder_heads: the same of the decoder.
        input: what the encoder sees: `joint` positions, or their `motion` from frame to frame (table 7).
    """

    input: Literal["joint", "motion"] = "joint"
    joints: int = Field(default=25, ge=1, le=1000)
    frames: int = Field(default=120, ge=1, le=100_000)
    segment: int = Field(default=4, ge=1, le=100_000)
    width: int = Field(default=256, ge=1, le=65_536)
    depth: int = Field(default=8, ge=1, le=1000)
    heads: int = Field(default=8, ge=1, le=1024)
    mlp_ratio: int = Field(default=4, ge=1, le=64)
    decoder_width: int = Field(default=256, ge=1, le=65_536)
    decoder_depth: int = Field(default=5, ge=1, le=1000)
    decoder_heads: int = Field(default=8, ge=1, le=1024)

    @model_validator(mode="after")
    def _divisible(self) -> "ModelSpec":
        if self.frames % self.segment:
            raise ValueError(f"frames ({self.frames}) must be a multiple of segment ({self.segment})")
        if self.frames < 2 * self.segment:
            raise ValueError("motion intensity needs two segments: frames must be at least 2 · segment")
        if self.width % self.heads or self.decoder_width % self.decoder_heads:
            raise ValueError("width must be a multiple of heads, decoder_width of decoder_heads")
        if self.state_bytes > MAX_STATE_BYTES:
            raise ValueError(
                f"about {self.parameters:,} parameters; with their gradients and AdamW's two moments they take "
                f"{self.state_bytes / 1e9:,.0f} GB, at most {MAX_STATE_BYTES / 1e9:,.0f} GB are taken: "
                "lower width, depth, mlp_ratio, frames or those of the decoder"
            )
        return self

    @property
    def parameters(self) -> int:
        """About how many parameters the network has: the matrices of all blocks, and the embeddings of tokens."""
        blocks = (4 + 2 * self.mlp_ratio) * (self.depth * self.width**2 + self.decoder_depth * self.decoder_width**2)
        embeddings = (self.segments + self.joints + 6 * self.segment) * (self.width + self.decoder_width)
        return blocks + embeddings

    @property
    def state_bytes(self) -> int:
        """About how many bytes weights, gradients and two moments of AdamW take, as float32."""
        return 4 * WEIGHT_BYTES * self.parameters

    @property
    def segments(self) -> int:
        """Te = T / l."""
        return self.frames // self.segment

    @property
    def tokens(self) -> int:
        """L = Te · V."""
        return self.segments * self.joints


class SamplingSpec(Model):
    """How a clip becomes a sample of T frames.

    Attributes:
        crop_min, crop_max: the training crop's share of the valid frames, p ~ U[crop_min, crop_max].
        min_frames: the shortest training crop in frames, where the clip has as many.
        test_crop: the centred share kept in testing. The paper says 0.9, the authors' configurations 0.95.
        rotation: training rotation about each axis, U(-rotation, rotation) radians.
    """

    crop_min: float = Field(default=0.5, gt=0, le=1)
    crop_max: float = Field(default=1.0, gt=0, le=1)
    min_frames: int = Field(default=64, ge=1, le=MAX_COUNT)
    test_crop: float = Field(default=0.9, gt=0, le=1)
    rotation: float = Field(default=0.3, ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> "SamplingSpec":
        if self.crop_min > self.crop_max:
            raise ValueError(f"crop_min ({self.crop_min}) must not exceed crop_max ({self.crop_max})")
        return self


Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamW(Model):
    """AdamW; weight decay spares one-dimensional parameters."""

    kind: Literal["adamw"]
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    weight_decay: float = Field(default=0.05, ge=0, le=1e6)


class SGD(Model):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1e6)


class ScheduleSpec(Model):
    """Linear warm-up from 0 to `lr`, then half a cosine to `final_lr`; moves every step."""

    epochs: int = Field(ge=0, le=1_000_000)
    warmup_epochs: float = Field(default=0, ge=0, le=1_000_000)
    lr: float = Field(gt=0, le=1e6)
    final_lr: float = Field(default=0.0, ge=0, le=1e6)


PRETRAIN: Final = "pretrain"
"""The task whose recipes name an objective; every other task is an evaluation protocol."""

Residency = Literal["auto", "device", "host", "stream"]
Precision = Literal["float32", "tf32", "bf16"]
RecomputeMode = Literal["auto", "always", "never"]

EXECUTION_FIELDS = frozenset({"residency", "residency_budget_gb", "micro_batch", "recompute", "keep_every"})
"""Fields on which no number of a run depends, apart from the order of sums: it may be resumed with others."""


class Recipe(Model):
    """What every training run has.

    Attributes:
        kind: the task: `pretrain`, or the name of an evaluation protocol.
        name, summary: how the recipe is listed.
        batch_size: clips of one optimiser step, over all devices.
        seed: fixes the initial weights, the order of the clips and every random draw.
        residency: where clips live: on the training `device`, in `host` memory, or on disk, from where they
            `stream`; `auto` takes the first that the budget admits. No number depends on it.
        residency_budget_gb: what clips may take of the device's and of the host's memory, in 10^9 bytes; half of
            what is free by default.
        shuffle_window: shards of the store whose clips are shuffled together, wherever clips live; None for all,
            as the authors do. A stream that cannot hold all sets it, and the run keeps what it was set to.
        precision: what the network computes in. `tf32` multiplies float32 matrices on a GPU with 10 bits of
            mantissa, and is float32 elsewhere. `bf16` has matrix products and attention in bfloat16; weights,
            their updates and checkpoints, normalisation, masking and the loss stay float32.
        compile: whether torch compiles the network; the first step then takes a minute or more. Needs a C++
            compiler on a CPU and Triton on a GPU.
        checkpoint_every: epochs between checkpoints; the last epoch always leaves one.
        keep_every: epochs between checkpoints that are kept for good: every epoch whose number is a multiple of it
            leaves one. Of the others only the last ones stay. None keeps none for good.
        recipes: recipes that come with the class of a plug-in, as YAML text by name; `--recipe NAME` finds them.
        width_fields: fields that are widths of the head's layers; `reproduce --scale small` divides them.
    """

    recipes: ClassVar[Mapping[str, str]] = {}
    width_fields: ClassVar[tuple[str, ...]] = ()

    kind: str
    name: Name
    summary: Line
    dataset: DatasetName
    protocol: SplitProtocolName
    model: ModelSpec
    sampling: SamplingSpec = SamplingSpec()
    optimiser: AdamW | SGD = Field(discriminator="kind")
    schedule: ScheduleSpec
    batch_size: int = Field(ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, le=MAX_INTEGER)
    residency: Residency = "auto"
    residency_budget_gb: float | None = Field(default=None, gt=0, le=1e6)
    shuffle_window: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    precision: Precision = "float32"
    compile: bool = False
    checkpoint_every: int = Field(default=20, ge=1, le=1_000_000)
    keep_every: int | None = Field(default=None, ge=1, le=1_000_000)

    @property
    def splits(self) -> tuple[Literal["train", "test"], ...]:
        """The splits whose clips the run reads."""
        return ("train", "test")

    def keeps(self, epoch: int) -> bool:
        """Return whether the checkpoint at the end of an epoch, counted from 1, is kept for good."""
        return self.keep_every is not None and epoch > 0 and epoch % self.keep_every == 0

    @property
    def stored_motion(self) -> dict[str, int] | None:
        """What the run needs of the store's motion, by field of `MotionSpec`; None where it reads no stored motion."""
        return None

    @property
    def training_subset(self) -> Subset | None:
        """The part of the training clips that is used; None for all."""
        return None

    @model_validator(mode="after")
    def _fits_dataset(self) -> Self:
        spec = fixed_spec(self.dataset)
        if spec is None:  # the store says how many joints and which protocols recordings have
            return self
        if self.model.joints != len(spec.skeleton.joints):
            raise ValueError(
                f"model.joints is {self.model.joints}, {spec.title} has {len(spec.skeleton.joints)} joints"
            )
        if self.protocol not in {protocol.name for protocol in spec.protocols}:
            raise ValueError(f"{spec.title} has no protocol '{self.protocol}'")
        return self


class PretrainRecipe(Recipe):
    """Pre-training; each objective has a subclass with its own options.

    Attributes:
        objective: a name of the registry of objectives; left out of files and digests where it is the default.
        micro_batch: clips that a device takes at once; a larger share of the batch is taken in microbatches whose
            gradients add up to those of the whole. None for no limit. Evaluations have no such field: batch
            normalisation needs the whole batch.
        recompute: whether the backward pass computes the blocks again instead of keeping their activations: a third
            more work in a fraction of the memory, same numbers. `auto` does where memory is short.
    """

    kind: Literal["pretrain"]
    objective: Annotated[str, AfterValidator(OBJECTIVES.check)] = DEFAULT_OBJECTIVE
    micro_batch: int | None = Field(default=None, ge=1, le=1_000_000)
    recompute: RecomputeMode = "auto"

    @property
    def splits(self) -> tuple[Literal["train", "test"], ...]:
        """The splits whose clips the run reads."""
        return ("train",)

    @model_serializer(mode="wrap")
    def _leave_out_default_objective(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = serialise(self)
        if data.get("objective") == DEFAULT_OBJECTIVE:
            del data["objective"]
        return data


class EvaluationRecipe(Recipe):
    """A recipe of an evaluation protocol: a classifier is trained, and measured after each epoch.

    A protocol's own recipe is a subclass with the protocol's own fields, and `kind: Literal[NAME]`. Its class variables
    are what the command line has to know before it imports torch.

    Attributes:
        frozen_encoder: whether the encoder keeps its weights and only the head is trained.
        requires_encoder: whether a run without `--from` is refused.
        untrained_suffix: appended to the name of the folder of a run that begins with initial weights.
        has_default: whether the recipe `DATASET-PROTOCOL` is taken where none is named.
        has_draws: whether recipes train on a draw of the training clips, their field `subset`; `--draws N` then trains
            on draws 1 to N.
    """

    frozen_encoder: ClassVar[bool] = False
    requires_encoder: ClassVar[bool] = False
    untrained_suffix: ClassVar[str] = "-scratch"
    has_default: ClassVar[bool] = True
    has_draws: ClassVar[bool] = False

    @model_validator(mode="after")
    def _some_epoch(self) -> Self:
        if not self.schedule.epochs:
            raise ValueError("schedule.epochs must be at least 1: accuracy is measured after an epoch")
        return self


def recipe_class(kind: object, objective: object = None) -> type[Recipe]:
    """Return the class of a task's recipes, which the registries know.

    Args:
        kind: the task.
        objective: of pre-training; the default one where it is None.

    Raises:
        UsageError: there is no such task or objective, or its options are no recipe.
    """
    if kind == PRETRAIN:
        if not isinstance(objective, str | None):
            raise UsageError(
                f"objective is {objective!r}, expected a name",
                remedy=f"Write objective: NAME, one of: {', '.join(OBJECTIVES.names())}.",
            )
        return cast("type[Recipe]", OBJECTIVES.options(str(DEFAULT_OBJECTIVE if objective is None else objective)))
    if kind not in PROTOCOLS.names():
        raise unknown_name("task", str(kind), task_names())
    options = PROTOCOLS.options(str(kind))
    if isinstance(options, type) and issubclass(options, Recipe):
        return options
    remedy = f"Choose one of: {', '.join(task_names())}."
    if distribution := PROTOCOLS.entry(str(kind)).distribution:
        raise UsageError(
            f"the options of the protocol '{kind}' of {distribution} are no recipe: "
            "a protocol of another distribution must train",
            remedy=remedy,
        )
    raise UsageError(f"the protocol '{kind}' trains nothing and has no recipes", remedy=remedy)


def task_names() -> tuple[str, ...]:
    """Return the tasks that have recipes: pre-training, and every evaluation protocol that trains."""
    return (PRETRAIN, *trained_protocols())


def protocol_recipe_class(name: str) -> type[EvaluationRecipe]:
    """Return the class of an evaluation protocol's recipes; the protocol of another distribution is imported for it.

    Raises:
        UsageError: there is no such protocol, or its options are no recipe of an evaluation.
    """
    options = recipe_class(name)
    if issubclass(options, EvaluationRecipe):
        return options
    raise UsageError(
        f"the options of the protocol '{name}' are {options.__name__}, expected an EvaluationRecipe",
        remedy="Its recipe class must be a subclass of EvaluationRecipe.",
    )


def trained_protocols() -> tuple[str, ...]:
    """Return the names of the evaluation protocols that train, those of other distributions unseen."""
    return tuple(name for name in PROTOCOLS.names() if _may_train(name))


def _may_train(name: str) -> bool:
    """Return whether a protocol trains; one of another distribution is not imported for that, and taken to train."""
    return PROTOCOLS.entry(name).distribution is not None or issubclass(PROTOCOLS.options(name), Recipe)


def parse_recipe(data: Mapping[str, Any], source: str) -> Recipe:
    """Read a recipe of any task from plain data.

    A key without a value that the task's recipes do not have is ignored: recipes saved by earlier versions have such.

    Args:
        data: the fields; `kind`, and `objective` in pre-training, say which class reads them.
        source: where they come from, named in errors.

    Raises:
        ConfigError: no such task or objective, or the recipe does not validate; names the keys.
    """
    try:
        model = recipe_class(data.get("kind"), data.get("objective"))
    except UsageError as problem:
        raise ConfigError(f"{source}: {problem.message}", remedy=problem.remedy) from None
    known = {key: value for key, value in data.items() if value is not None or key in model.model_fields}
    return parse_model_data(model, known, source)


def _parse_any(value: object, _inner: object, info: ValidationInfo) -> Recipe:
    if isinstance(value, Recipe):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("a recipe is a mapping of keys")
    try:
        model = recipe_class(value.get("kind"), value.get("objective"))
    except UsageError as problem:
        raise ValueError(problem.message) from None
    return model.model_validate_json(to_json(value)) if info.mode == "json" else model.model_validate(value)


AnyRecipe = Annotated[SerializeAsAny[Recipe], WrapValidator(_parse_any)]
"""The type of a model's field that holds a recipe of any task."""
