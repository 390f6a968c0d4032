using System.Security.Cryptography;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>Keeps the identity in one file of a directory that only its owner may read.</summary>
internal sealed class IdentityStore(string directory)
{
    public const string FileName = "identity.json";

    public string Directory { get; } = Path.GetFullPath(directory);

    private string FilePath => Path.Combine(Directory, FileName);

    /// <summary>The stored identity, or null when this guest is not paired.</summary>
    /// <exception cref="BadIdentityException">The file is there, but can't be read or is damaged.</exception>
    public HostIdentity? Load()
    {
        try
        {
            return HostIdentity.TryRead(File.ReadAllBytes(FilePath))
                ?? throw new BadIdentityException($"{FilePath} is damaged: pair this guest again with '{AgentProgram.Name} join CODE'.");
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new BadIdentityException($"{FilePath} can't be read: {refused.Message}", refused);
        }
    }

    /// <summary>The stored identity; null also where it is damaged, since such a one names no key.</summary>
    public HostIdentity? LoadIfWhole()
    {
        try
        {
            return Load();
        }
        catch (BadIdentityException)
        {
            return null;
        }
    }

    /// <summary>Makes sure, before a one-time code is spent, that an identity could be stored.</summary>
    /// <exception cref="BadIdentityException">The directory can't be made or written.</exception>
    public void Prepare() => Guarded(() =>
    {
        CreateDirectory();
        var trial = TemporaryPath();
        WriteThrough(trial, new byte[4096]);
        File.Delete(trial);
    });

    /// <summary>Replaces the stored identity: after a crash at any point the old one or the new one is there, whole.</summary>
    /// <exception cref="BadIdentityException">It can't be written; the old one is unharmed.</exception>
    public void Save(HostIdentity identity) => Guarded(() =>
    {
        CreateDirectory();
        var written = TemporaryPath();
        try
        {
            WriteThrough(written, identity.ToJson());
            File.Move(written, FilePath, overwrite: true);
        }
        catch (Exception)
        {
            File.Delete(written);
            throw;
        }

        if (OperatingSystem.IsLinux())
            Linux.Native.SyncDirectory(Directory);
    });

    /// <summary>Removes the identity, and with it the key.</summary>
    /// <returns>False: there was none.</returns>
    /// <exception cref="BadIdentityException">It can't be removed.</exception>
    public bool Remove()
    {
        var was = File.Exists(FilePath);
        var credential = LoadIfWhole()?.Credential;
        Guarded(() =>
        {
            if (was)
                File.Delete(FilePath);
            DeleteDirectoryIfEmpty();
        });
        try
        {
            credential?.Forget();
            return was;
        }
        catch (CryptographicException refused)
        {
            throw new BadIdentityException($"The pairing is removed, but its key stays in the system's store: {refused.Message}", refused);
        }
    }

    private void DeleteDirectoryIfEmpty()
    {
        if (!IsEmpty())
            return;
        try
        {
            System.IO.Directory.Delete(Directory);
        }
        catch (IOException) when (!IsEmpty())
        {
            // The agent pairs anew at this very moment, or somebody else has deleted it.
        }

        bool IsEmpty() => System.IO.Directory.Exists(Directory) && !System.IO.Directory.EnumerateFileSystemEntries(Directory).Any();
    }

    private void Guarded(Action write)
    {
        try
        {
            write();
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new BadIdentityException($"The state directory {Directory} can't be written: {refused.Message}", refused);
        }
    }

    private void CreateDirectory()
    {
        if (OperatingSystem.IsWindows())
            Windows.StateDirectory.Create(Directory);
        else
            System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private string TemporaryPath() => Path.Combine(Directory, $".{Convert.ToHexString(RandomNumberGenerator.GetBytes(8))}.tmp");

    private static void WriteThrough(string path, byte[] content)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var file = new FileStream(path, options);
        file.Write(content);
        file.Flush(flushToDisk: true);
    }
}
