"""The settings of the methods that tools/compare_methods.py compares, as configs/lifting.yaml holds them."""

from dataclasses import dataclass, field

from meshrec.fit.sparse_pose import SparsePoseConfig
from meshrec.models.adversarial_lifting import AdversarialConfig
from meshrec.models.cascade import CascadeConfig
from meshrec.models.compositional import CompositionalConfig
from meshrec.models.deep_nrsfm import DeepNRSfMConfig
from meshrec.models.depth_order import DepthOrderConfig
from meshrec.models.hourglass import HourglassConfig
from meshrec.models.lifting_baseline import BaselineConfig
from meshrec.models.locally_connected import LocallyConnectedConfig
from meshrec.models.multimodal_vae import MultimodalConfig
from meshrec.models.nrsfm import NRSfMConfig
from meshrec.models.part_search import PartSearchConfig
from meshrec.models.pose_machine import PoseMachineConfig
from meshrec.models.repnet import RepNetConfig
from meshrec.models.root_depth import RootNetConfig
from meshrec.models.smplr import SmplrConfig
from meshrec.models.variational_lifting import VariationalConfig
from meshrec.models.volumetric import VolumetricConfig
from meshrec.training.lifted_clips import ClipsConfig
from meshrec.training.lifting import LiftingTraining
from meshrec.training.part_search import SearchTraining
from meshrec.training.seeing import SeeingTraining


@dataclass(frozen=True)
class PicturesConfig:
    """The pictures that networks learn from which see pictures.

    Attributes:
        people: number of synthetic people.
        seed: seed of the people.
        size: side of the pictures, pixels.
        lifter_steps: steps of the lifting baseline that follows networks which find 2D joints.
    """

    people: int = 16384
    seed: int = 0
    size: int = 64
    lifter_steps: int = 1000


@dataclass(frozen=True)
class LiftingConfig:
    """Settings of all methods.

    Attributes:
        training: the people, and how networks are trained.
        pictures: the pictures of people to learn from, for networks that see pictures.
        seeing: how networks that see pictures are trained.
        cascade: the cascade of regressors.
        hourglass: the stacked hourglasses.
        compositional: the hierarchy of joints, limbs and parts.
        part_search: the network whose operators are searched.
        search: how they are searched.
        rootnet: the network that tells how far away people are (tools/compare_root_depth.py).
        root_seeing: how it is trained.
        baseline: the fully connected network with residual blocks.
        locally_connected: the network that connects near joints.
        sparse_pose: the sparse sums of a dictionary of poses.
        nrsfm: the network that factorises 2D joints into shape and viewpoint.
        deep_nrsfm: the hierarchy of block-sparse dictionaries.
        adversarial: the lifter that a critic of 2D poses and self-consistency teach.
        repnet: the networks of pose and camera that a critic of 3D poses teaches.
        variational: the conditional variational autoencoder, which gives several poses.
        multimodal: the autoencoder of 2D joints, masks and 3D joints.
        clips: the clips to learn from, for networks that see clips.
        pose_machine: the network that lifts clips by an LSTM, and corrects its joints by their projection.
        depth_order: the networks that learn depths from their order, and complete them.
        volumetric: the networks of volumes.
        smplr: the network from joints and landmarks to a body.
    """

    training: LiftingTraining = field(default_factory=LiftingTraining)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    seeing: SeeingTraining = field(default_factory=SeeingTraining)
    cascade: CascadeConfig = field(default_factory=CascadeConfig)
    hourglass: HourglassConfig = field(default_factory=HourglassConfig)
    compositional: CompositionalConfig = field(default_factory=CompositionalConfig)
    part_search: PartSearchConfig = field(default_factory=PartSearchConfig)
    search: SearchTraining = field(default_factory=SearchTraining)
    rootnet: RootNetConfig = field(default_factory=RootNetConfig)
    root_seeing: SeeingTraining = field(default_factory=SeeingTraining)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    locally_connected: LocallyConnectedConfig = field(default_factory=LocallyConnectedConfig)
    sparse_pose: SparsePoseConfig = field(default_factory=SparsePoseConfig)
    nrsfm: NRSfMConfig = field(default_factory=NRSfMConfig)
    deep_nrsfm: DeepNRSfMConfig = field(default_factory=DeepNRSfMConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    repnet: RepNetConfig = field(default_factory=RepNetConfig)
    variational: VariationalConfig = field(default_factory=VariationalConfig)
    multimodal: MultimodalConfig = field(default_factory=MultimodalConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    pose_machine: PoseMachineConfig = field(default_factory=PoseMachineConfig)
    depth_order: DepthOrderConfig = field(default_factory=DepthOrderConfig)
    volumetric: VolumetricConfig = field(default_factory=VolumetricConfig)
    smplr: SmplrConfig = field(default_factory=SmplrConfig)
