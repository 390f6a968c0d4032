namespace KvmSwitch.Qmp;

/// <summary>QAPI's <c>RunState</c> (qapi/run-state.json).</summary>
public enum QmpRunState
{
    /// <summary>A state that this client does not know; see <see cref="QmpStatus.RawState"/>.</summary>
    Unknown,

    /// <summary>Under a debugger.</summary>
    Debug,

    /// <summary>Waiting for an incoming migration.</summary>
    InMigrate,

    /// <summary>Stopped by an internal error.</summary>
    InternalError,

    /// <summary>Stopped by a failed I/O operation.</summary>
    IoError,

    /// <summary>Paused by <c>stop</c>.</summary>
    Paused,

    /// <summary>Migrated away.</summary>
    PostMigrate,

    /// <summary>Started with <c>-S</c> and not yet continued.</summary>
    PreLaunch,

    /// <summary>Finishing a migration.</summary>
    FinishMigrate,

    /// <summary>Restoring a saved state.</summary>
    RestoreVm,

    /// <summary>Running.</summary>
    Running,

    /// <summary>Saving its state.</summary>
    SaveVm,

    /// <summary>Shut down; QEMU itself remains (<c>-no-shutdown</c>).</summary>
    Shutdown,

    /// <summary>The guest sleeps (ACPI S3).</summary>
    Suspended,

    /// <summary>Stopped by its watchdog.</summary>
    Watchdog,

    /// <summary>The guest panicked.</summary>
    GuestPanicked,

    /// <summary>Stopped for COLO checkpoints.</summary>
    Colo,
}

/// <summary>The answer to <c>query-status</c>.</summary>
/// <param name="State">The state, as far as it is known here.</param>
/// <param name="Running">Whether the virtual CPUs run.</param>
/// <param name="RawState">QEMU's own word.</param>
public sealed record QmpStatus(QmpRunState State, bool Running, string RawState)
{
    internal static QmpRunState Parse(string raw) => raw switch
    {
        "debug" => QmpRunState.Debug,
        "inmigrate" => QmpRunState.InMigrate,
        "internal-error" => QmpRunState.InternalError,
        "io-error" => QmpRunState.IoError,
        "paused" => QmpRunState.Paused,
        "postmigrate" => QmpRunState.PostMigrate,
        "prelaunch" => QmpRunState.PreLaunch,
        "finish-migrate" => QmpRunState.FinishMigrate,
        "restore-vm" => QmpRunState.RestoreVm,
        "running" => QmpRunState.Running,
        "save-vm" => QmpRunState.SaveVm,
        "shutdown" => QmpRunState.Shutdown,
        "suspended" => QmpRunState.Suspended,
        "watchdog" => QmpRunState.Watchdog,
        "guest-panicked" => QmpRunState.GuestPanicked,
        "colo" => QmpRunState.Colo,
        _ => QmpRunState.Unknown,
    };
}
