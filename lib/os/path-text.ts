/** How is a path shown that need not be text? To the kernel it is bytes. */

const UTF8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

/** A path as text; every byte outside of UTF-8 text is shown as `\xNN`. */
export function pathText(path: Buffer): string {
  try {
    return UTF8.decode(path);
  } catch {
    return Array.from(path, byte =>
      byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`,
    ).join('');
  }
}

/** Many paths, each ended by a NUL. One decoding for all of them, as nearly always all are text. */
export function pathTexts(paths: Buffer): string[] {
  let pieces: string[];
  try {
    pieces = UTF8.decode(paths).split('\0');
  } catch {
    pieces = paths
      .toString('latin1')
      .split('\0')
      .map(piece => pathText(Buffer.from(piece, 'latin1')));
  }
  return pieces.slice(0, -1);
}
