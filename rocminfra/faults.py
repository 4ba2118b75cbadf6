"""The closed catalogue of what can go wrong, each with a code that stays: ``RI-501``.

A code's first digit is the exit code. docs/errors.md has a section for every member.
"""

from __future__ import annotations

from enum import Enum, IntEnum, unique


class ExitCode(IntEnum):
    """Exit code of the ``rocminfra`` command; also the class of a failure."""

    DONE = 0
    UNEXPECTED = 1
    CHANGES = 2
    SETTINGS = 3
    UNREACHABLE = 4
    REFUSED = 5
    UNFIT = 6
    NOT_READY = 7
    BENCHMARK = 8
    LOCKED = 9
    INTERRUPTED = 130


@unique
class Fault(Enum):
    """What went wrong, as a number that is never given to anything else.

    A new fault takes the next free number of its group and a section in docs/errors.md.
    """

    # 1: unexpected; a fault of ours, or one that nobody has met yet
    UNEXPECTED = 101
    DEPLOY_RAISED = 102
    OPERATION_FAILED = 103
    RUN_ENDED_EARLY = 104
    FILE_NOT_WRITTEN = 105
    LOCK_NOT_TAKEN = 106
    DROPLET_KEPT = 107
    LOGS_UNREADABLE = 108
    BOOK_UNREADABLE = 109

    # The lab
    LAB_COMMAND_FAILED = 141
    LAB_RECORD_DAMAGED = 142

    # 3: settings and options
    SETTINGS_INVALID = 301
    DATA_OPTION_INVALID = 302
    SECRET_ON_COMMAND_LINE = 303
    OPTION_INVALID = 304
    NO_TERMINAL_TO_ASK = 305
    OUTPUT_NOT_WRITABLE = 306
    FOLDER_HAS_FILES = 307
    PLAYBOOK_FILE_MISSING = 308
    EXTRA_MISSING = 309
    VERB_UNKNOWN = 310

    # Inventory
    NO_HOSTS = 311
    INVENTORY_NOT_FOUND = 312
    INVENTORY_UNUSABLE = 313
    CONNECTOR_UNKNOWN = 314
    LIMIT_MATCHES_NOTHING = 315
    HOST_UNKNOWN = 316
    ONE_HOST_ONLY = 317
    LOCAL_PORT_TAKEN = 318
    NOT_OVER_SSH = 319

    # Model and engine
    MODEL_UNKNOWN = 321
    MODEL_FOLDER_INVALID = 322
    MODEL_FOLDER_INCOMPLETE = 323
    ENGINE_ARGUMENTS_REFUSED = 324
    USERS_UNKNOWN = 325
    QUESTION_REFUSED = 326

    # Benchmark
    SCENARIO_INVALID = 331
    RESULTS_UNREADABLE = 332
    RUN_CANNOT_CALIBRATE = 333
    RESULTS_NOT_FOUND = 334
    RUNS_NOT_COMPARABLE = 335
    BASELINE_UNUSABLE = 336

    # The lab
    LAB_OPTION_INVALID = 341
    LAB_DROPLET_UNKNOWN = 342

    # Droplets
    CLOUD_ENDPOINT_INVALID = 351
    DROPLET_UNKNOWN = 352
    DROPLET_NAME_INVALID = 353
    SSH_KEY_NOT_CHOSEN = 354
    SSH_KEY_UNKNOWN = 355
    LEDGER_UNUSABLE = 356
    COMMAND_NOT_STARTED = 357

    # The documentation
    TOPIC_UNKNOWN = 371

    # 4: unreachable or not authorised
    HOST_UNREACHABLE = 401
    CONNECTION_LOST = 402
    COMMAND_DOES_NOT_START = 403
    LOGIN_UNUSABLE = 404
    NO_SFTP = 405

    # Droplets
    CLOUD_TOKEN_MISSING = 451
    CLOUD_TOKEN_UNREADABLE = 452
    CLOUD_TOKEN_REFUSED = 453
    CLOUD_TOKEN_NOT_ALLOWED = 454
    CLOUD_NOT_FOUND = 455
    CLOUD_RATE_LIMIT = 456
    CLOUD_UNAVAILABLE = 457
    CLOUD_REDIRECT = 458
    DROPLET_CREATION_UNCERTAIN = 459
    DROPLET_MAY_STILL_RUN = 460
    DROPLET_GONE = 461
    DROPLET_NO_ADDRESS = 462
    OTHER_TEAM = 463

    # 5: refused for safety
    DISK_NOT_BLANK = 501
    DISK_CONTENT_UNKNOWN = 502
    DISK_NOT_UNDERSTOOD = 503
    DISK_OF_THE_SYSTEM = 504
    DISK_IN_USE = 505
    DISK_READ_ONLY = 506
    DISK_TOO_SMALL = 507
    DISK_WRONG_SIZE = 508
    DISK_TWIN = 509
    UUID_TAKEN = 510
    DISKS_NOT_OBSERVED = 511
    DEVICE_NOT_FOUND = 512
    NO_DISK_FITS = 513
    SEVERAL_DISKS_FIT = 514
    LABELLED_DISK_UNUSABLE = 515
    LABEL_OF_ANOTHER_FILESYSTEM = 516
    LABEL_INVALID = 517
    DISK_NOT_RIGHT_AFTERWARDS = 518

    # Mounts
    FSTAB_CONFLICT = 521
    MOUNT_POINT_TAKEN = 522
    MOUNT_POINT_NOT_EMPTY = 523
    MOUNT_POINT_UNSAFE = 524
    MOUNTS_STACKED = 525
    MOUNTED_NOT_XFS = 526
    MOUNTED_OTHER_FILESYSTEM = 527

    # Docker and models
    DOCKER_DATA_ELSEWHERE = 531
    DOCKER_FLAG = 532
    CONTAINERD_IN_THE_WAY = 533
    MODEL_FOLDER_FOREIGN = 534

    # Removal
    NO_RECORD = 541
    REMOVAL_STOPPED = 542
    CHANGED_SINCE_PLAN = 543
    ENGINE_UNIT_NOT_OURS = 544

    # Droplets
    LEDGER_DAMAGED = 551
    COST_LIMIT = 552
    TIME_LIMIT = 553
    DROPLET_NOT_OURS = 554
    HOST_KEY_UNKNOWN = 555

    # 6: the host does not fit
    GPU_MISSING = 601
    MODEL_DOES_NOT_FIT = 602
    PORT_TAKEN = 603
    REBOOT_PENDING = 604
    PREREQUISITE_MISSING = 605
    PROGRAMS_MISSING = 606
    PYTHON_TOO_OLD = 607
    PATH_TAKEN = 608
    PACKAGES_NOT_INSTALLED = 609

    # Docker and the engine
    DOCKER_INSTALLATION_UNFIT = 621
    DOCKER_CONFIGURATION_UNFIT = 622
    DOCKER_DOES_NOT_RUN = 623
    ENGINE_IMAGE_UNFIT = 624

    # The lab
    LAB_NEEDS_ROOT = 641
    LAB_REQUIREMENT_MISSING = 642
    LAB_MACHINE_UNFIT = 643
    LAB_NO_SPACE = 644
    LAB_SUBNET_TAKEN = 645
    LAB_CONTROL_GROUPS = 646
    LAB_DISK = 647
    LAB_FILE = 648
    LAB_BASE_ROOT_FAILED = 649
    LAB_BASE_ROOT_UNFIT = 650
    LAB_DROPLET_BROKEN = 651
    LAB_NONE_UP = 652
    LAB_NOT_REMOVED = 653

    # Droplets
    CLOUD_NO_CAPACITY = 661
    CLOUD_REQUEST_REFUSED = 662
    SIZE_UNKNOWN = 663
    IMAGE_UNKNOWN = 664
    IMAGE_NOT_IN_REGION = 665
    DROPLET_CREATION_FAILED = 666

    # 7: not ready
    ENGINE_NOT_READY = 701
    ENGINE_DOES_NOT_START = 702
    HOST_STILL_BOOTING = 703
    APT_IN_USE = 704

    # Droplets and the lab
    LAB_DROPLET_NOT_UP = 741
    DROPLET_NOT_READY = 742

    # 8: benchmark
    BENCHMARK_INVALID = 801
    RUN_UNKNOWN = 802
    RUN_COMPLETE = 803
    RUN_OF_ANOTHER_SCENARIO = 804
    RUN_DID_NOT_START = 805
    RUN_NOT_IN_TIME = 806
    RESULTS_MISSING = 807
    RESULTS_PARTIAL = 808
    RESULTS_NOT_WRITABLE = 809

    # 9: locked by another run
    HOST_LOCKED = 901
    BENCHMARK_RUNNING = 902
    DROPLET_NAME_TAKEN = 903
    LAB_DROPLET_UP = 904
    LAB_LOCKED = 905

    @property
    def kind(self) -> ExitCode:
        """Its class, which is the exit code."""
        return ExitCode(self.value // 100)

    @property
    def code(self) -> str:
        """As it is printed and looked up, such as ``RI-501``."""
        return f"RI-{self.value}"
