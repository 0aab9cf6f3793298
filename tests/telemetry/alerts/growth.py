"""Trials of what grows until something is full."""

from tests.telemetry.alerts.trial import Case, page, ticket

A = {"job": "parley", "instance": "a"}
G = 10**9


def free(instance: str = "a") -> str:
    return f'parley_disk_free_bytes{{job="parley", instance="{instance}"}}'


def logged(kind: str) -> str:
    return f'parley_log_lines_total{{job="parley", instance="a", type="{kind}"}}'


CASES = [
    Case(
        name="a disk that is full in four days; one that empties, one that stands",
        groups=("parley-disk",),
        interval="2m",
        # a gigabyte an hour
        series={
            free(): f"{106 * G}-{G // 30}x300",
            free("b"): f"{20 * G}+{G // 30}x300",
            free("c"): f"{20 * G}x300",
        },
        expected={
            ("8h", "DiskFillsSoon"): (ticket("The disk of a is full in 4.1 days at this rate.", **A),),
            ("8h", "DiskFull"): (),
            ("8h", "DiskLow"): (),
        },
    ),
    Case(
        name="a disk that is full before the night is over, then nearly",
        groups=("parley-disk",),
        interval="2m",
        series={free(): f"{18 * G}-{G // 30}x2699"},
        expected={
            ("6h", "DiskFull"): (page("The disk of a is full in 0.5 days at this rate.", **A),),
            ("6h", "DiskLow"): (),
            ("1060m", "DiskLow"): (page("317.9MiB are free on the disk of a.", **A),),
        },
    ),
    Case(
        name="a journal that grows by a gigabyte an hour beside twelve that are free",
        groups=("parley-disk",),
        interval="2m",
        series={
            free(): f"{12 * G}x300",
            'parley_audit_bytes{job="parley", instance="a"}': f"0+{G // 30}x300",
        },
        expected={
            ("2h", "JournalFillsDisk"): (page("The journal of a alone fills the disk in 0.5 days.", **A),),
        },
    ),
    Case(
        name="a journal that is drained",
        groups=("parley-disk",),
        interval="2m",
        series={
            free(): f"{12 * G}x300",
            'parley_audit_bytes{job="parley", instance="a"}': f"{9 * G}-{G // 30}x269",
        },
        expected={("2h", "JournalFillsDisk"): ()},
    ),
    Case(
        name="four times the rows of a day",
        groups=("parley-growth",),
        interval="4m",
        every="5m",
        series={'parley_audit_rows{job="parley", instance="a"}': "0+10x1800 18000+100x360"},
        expected={
            ("119h", "AuditGrowth"): (),
            ("144h", "AuditGrowth"): (
                ticket("35900 audit rows were added in 1d, over three times the week's mean.", job="parley"),
            ),
        },
    ),
    Case(
        name="one type of line grows out of proportion, another was always much",
        groups=("parley-logs",),
        interval="1m",
        series={logged("log"): "0+10x300 3000+500x60", logged("agent_query_completed"): "0+500x360"},
        expected={
            ("290m", "LogVolume"): (),
            ("335m", "LogVolume"): (
                ticket(
                    "7500 lines log were logged in 15m, over five times the mean of 6h.",
                    job="parley",
                    type="log",
                ),
            ),
        },
    ),
]
