using System.Collections.Concurrent;
using KvmSwitch.Linux;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Tests.Block;

/// <summary>Optical drives by the path of their nodes, with discs, trays, locks and claims.</summary>
internal sealed class FakeDrives : IDiscDrives
{
    private readonly ConcurrentDictionary<string, FakeDrive> _drives = new();

    /// <summary>An errno that opening a node of the driver sg ends with.</summary>
    public int? GenericTrouble { get; set; }

    /// <summary>By the last part of the node's path.</summary>
    public FakeDrive this[string name] => _drives.GetOrAdd(name, _ => new());

    public IDiscDrive Open(string node, bool alone)
    {
        var drive = Existing(node);
        if (alone && drive.IsClaimed) throw Error(Libc.EBUSY);
        Interlocked.Increment(ref drive.Opened);
        return new Handle(drive);
    }

    public SafeFileHandle Claim(string node, bool forWriting)
    {
        var drive = Existing(node);
        if (drive.IsClaimed) throw Error(Libc.EBUSY);
        drive.IsClaimed = true;
        drive.WasForWriting = forWriting;
        return drive.LastClaim = File.OpenHandle(node);
    }

    public SafeFileHandle OpenGeneric(string node)
    {
        if (!File.Exists(node)) throw Error(Libc.ENOENT);
        return GenericTrouble is { } errno ? throw Error(errno) : File.OpenHandle(node, FileMode.Open, FileAccess.ReadWrite);
    }

    internal static IOException Error(int errno) => new("no", errno);

    private FakeDrive Existing(string node)
    {
        if (!File.Exists(node)) throw Error(Libc.ENOENT);
        var drive = this[Path.GetFileName(node)];
        if (drive.Trouble is not { } errno) return drive;
        Interlocked.Increment(ref drive.Refused);
        throw Error(errno);
    }

    private sealed class Handle(FakeDrive drive) : IDiscDrive
    {
        public DiscState State
        {
            get
            {
                Interlocked.Increment(ref drive.Asked);
                return drive.Trouble is { } errno ? throw Error(errno) : drive.State;
            }
        }

        public void UnlockTray()
        {
            if (drive.UnlockErrors.TryDequeue(out var errno)) throw Error(errno);
            drive.IsLocked = false;
        }

        public string? Fingerprint()
        {
            Interlocked.Increment(ref drive.Read);
            return drive.Disc;
        }

        public void Dispose() => Interlocked.Increment(ref drive.Closed);
    }
}

internal sealed class FakeDrive
{
    public volatile DiscState State = DiscState.Present;
    public volatile string? Disc = "one";
    public volatile bool IsClaimed;
    public volatile bool IsLocked;
    public volatile bool WasForWriting;
    public volatile SafeFileHandle? LastClaim;
    public int Opened;
    public int Closed;
    public int Read;
    public int Asked;
    public int Refused;

    /// <summary>An errno that every call ends with.</summary>
    public int? Trouble { get; set; }

    public ConcurrentQueue<int> UnlockErrors { get; } = new();
}
