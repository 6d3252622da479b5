/** What does a small text file say? */
import {readFileSync} from 'node:fs';

/**
 * The text of a file, in UTF-8. Given an encoding, readFileSync ends the process by a failed assertion when close(2) reports
 * an error (Node 20 and 22); without one it throws.
 */
export function readText(path: string): string {
  return readFileSync(path).toString('utf8');
}
