using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>What a drive says of its disc (CDS_… of linux/cdrom.h).</summary>
internal enum DiscState
{
    /// <summary>The drive can't tell.</summary>
    Unknown = 0,
    None = 1,
    TrayOpen = 2,

    /// <summary>Loading, or its disc can't be read.</summary>
    NotReady = 3,
    Present = 4,
}

/// <summary>The calls to optical drives. Errors are <see cref="IOException"/>s with the errno as HResult.</summary>
internal interface IDiscDrives
{
    /// <summary>Opens a drive to look at it, with or without a disc.</summary>
    /// <param name="node">Its path.</param>
    /// <param name="alone">Fails with EBUSY while a guest, a mount or another program has claimed it.</param>
    IDiscDrive Open(string node, bool alone);

    /// <summary>
    /// Opens a drive and claims it: until the last duplicate of the descriptor is closed, the kernel refuses mounts and other claims
    /// of it (EBUSY). If it is for writing, the kernel also leaves the drive's event queue to whoever has the descriptor
    /// (DISK_EVENT_FLAG_BLOCK_ON_EXCL_WRITE).
    /// </summary>
    /// <param name="node">Its path.</param>
    /// <param name="forWriting">Only a drive that can write may be opened so.</param>
    SafeFileHandle Claim(string node, bool forWriting);

    /// <summary>
    /// Opens a drive's node of the driver sg for commands of all kinds: without CAP_SYS_RAWIO, those that change something (to set
    /// the speed, to lock and open the tray, to write) pass only by a descriptor for writing.
    /// </summary>
    SafeFileHandle OpenGeneric(string node);
}

internal interface IDiscDrive : IDisposable
{
    DiscState State { get; }

    /// <summary>Lets the tray be opened again after a guest locked it.</summary>
    void UnlockTray();

    /// <summary>Tells one disc from another; null when it can't be read.</summary>
    string? Fingerprint();
}

/// <summary>The real ones.</summary>
internal sealed class DiscDrives : IDiscDrives
{
    public IDiscDrive Open(string node, bool alone) => new Drive(Open(node, alone ? Libc.O_RDONLY | Libc.O_EXCL : Libc.O_RDONLY));

    public SafeFileHandle Claim(string node, bool forWriting) => Open(node, (forWriting ? Libc.O_RDWR : Libc.O_RDONLY) | Libc.O_EXCL);

    public SafeFileHandle OpenGeneric(string node) => Open(node, Libc.O_RDWR);

    private static SafeFileHandle Open(string node, int flags)
    {
        var file = Libc.Open(node, flags | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (!file.IsInvalid) return file;
        var error = Libc.Error(node);
        file.Dispose();
        throw error;
    }

    private sealed class Drive(SafeFileHandle file) : IDiscDrive
    {
        private const int SectorBytes = 2048;

        public DiscState State => Libc.Control(file, Libc.CDROM_DRIVE_STATUS, Libc.CDSL_CURRENT) switch
        {
            < 0 => throw Libc.Error("the drive's state can't be read"),
            var state and <= (int)DiscState.Present => (DiscState)state,
            _ => DiscState.Unknown,
        };

        public void UnlockTray()
        {
            if (Libc.Control(file, Libc.CDROM_LOCKDOOR, 0) < 0) throw Libc.Error("the tray can't be unlocked");
        }

        /// <summary>Of where ISO 9660 (from sector 16) and UDF (from sector 256) describe the volume, with names and times of making.</summary>
        public string? Fingerprint()
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

            // An audio disc has no such sectors.
            return TryAppend(hash, firstSector: 16) && TryAppend(hash, firstSector: 256) ? Convert.ToHexString(hash.GetHashAndReset()) : null;
        }

        public void Dispose() => file.Dispose();

        private bool TryAppend(IncrementalHash hash, int firstSector)
        {
            const int Sectors = 32;
            var bytes = new byte[Sectors * SectorBytes];
            var read = Libc.ReadAt(file, bytes, bytes.Length, (long)firstSector * SectorBytes);
            if (read > 0) hash.AppendData(bytes, 0, (int)read);
            return read >= 0;
        }
    }
}
