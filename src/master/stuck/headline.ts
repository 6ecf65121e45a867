/** The frame of a stack that says most in one line. */
import { fileURLToPath } from 'node:url';
import { ownFile } from '../../system/own-files.ts';

/** Where prefork's own code is, as it runs and by its source maps. */
const ourselves = ['dist/', 'src/'].map((folder) => fileURLToPath(ownFile(`../${folder}`)));

/**
 * The innermost frame that is neither Node's nor prefork's; if that is a package's, the app's own that called it as well.
 * If there is none, the innermost of all.
 *
 * @param frames as in an Error's stack, innermost first; not empty
 * @param own where the code of prefork is
 */
export function headlineOf(frames: readonly string[], own: readonly string[] = ourselves): string {
  const known = frames.filter((frame) => !isNodes(frame) && !own.some((place) => frame.includes(`(${place}`)));
  const [first] = known;
  if (first === undefined) return frames[0] ?? '';
  const caller = isOfPackage(first) ? known.find((frame) => !isOfPackage(frame)) : undefined;
  return caller === undefined ? first : `${first}, called ${caller}`;
}

/** Node's own JavaScript, or a built-in function of the language, which has no place. */
function isNodes(frame: string): boolean {
  return /\((?:node:|<anonymous>\)|native\))/.test(frame);
}

function isOfPackage(frame: string): boolean {
  return frame.includes('/node_modules/');
}
