namespace KvmSwitch.Linux;

/// <summary>
/// Replaces a file so that a reader, or a crash at any moment, finds either the whole old content or the whole new one:
/// a temporary file beside it, fsync, rename(2), fsync of the directory.
/// </summary>
public static class AtomicFile
{
    /// <param name="path">Absolute. A symbolic link is replaced, not followed.</param>
    /// <param name="mode">Exactly this, whatever the umask.</param>
    /// <exception cref="IOException">
    /// Not written (one sentence: why and where), and the old content stays. Only when the directory itself can't be flushed is the
    /// new content in place and merely not proven to survive a power cut.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled before the rename; the old content stays.</exception>
    public static Task WriteAsync(string path, ReadOnlyMemory<byte> content, UnixFileMode mode, CancellationToken cancellationToken) =>
        Task.Run(() => Write(path, content.Span, mode, cancellationToken), cancellationToken);

    private static void Write(string path, ReadOnlySpan<byte> content, UnixFileMode mode, CancellationToken cancellationToken)
    {
        try
        {
            Replace(path, content, mode, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException)
        {
            throw new IOException($"{path} can't be written: {Reason(e, Path.GetDirectoryName(path) ?? "/")}", e);
        }
    }

    private static void Replace(string path, ReadOnlySpan<byte> content, UnixFileMode mode, CancellationToken cancellationToken)
    {
        var directory = Path.GetDirectoryName(path) ?? throw new IOException("a directory is no file");
        var temporary = Path.Combine(directory, $".{Path.GetFileName(path)}.{Path.GetRandomFileName()}.tmp");
        var renamed = false;
        try
        {
            using (var file = new FileStream(temporary, NewFile))
            {
                File.SetUnixFileMode(file.SafeFileHandle, mode);
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            cancellationToken.ThrowIfCancellationRequested();
            File.Move(temporary, path, overwrite: true);
            renamed = true;
            FlushDirectory(directory);
        }
        finally
        {
            if (!renamed) File.Delete(temporary);
        }
    }

    // O_CREAT's mode is narrowed by the umask, so the caller's mode is set on the open file.
    private static FileStreamOptions NewFile => new()
    {
        Mode = FileMode.CreateNew,
        Access = FileAccess.Write,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        BufferSize = 0,
    };

    private static void FlushDirectory(string directory)
    {
        using var handle = Libc.Open(directory, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (handle.IsInvalid) throw Libc.Error($"{directory} can't be opened");
        if (Libc.Fsync(handle) != 0) throw Libc.Error($"{directory} can't be flushed to disk");
    }

    // .NET keeps the errno in HResult for all errors that it has no exception of its own for.
    private static string Reason(Exception e, string directory) => e switch
    {
        UnauthorizedAccessException => $"no permission to write in {directory}",
        DirectoryNotFoundException => $"there is no directory {directory}",
        ArgumentOutOfRangeException => "it would be larger than the limit for files",
        { HResult: Libc.ENOSPC or Libc.EDQUOT } => $"the disk is full; free some space where {directory} is",
        { HResult: Libc.EROFS } => $"{directory} is on a disk that is mounted read-only",
        _ => e.Message,
    };
}
