import { inTime } from '../deadline.js'
import { type AnyClientCertError, asInternal } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import type { CertificateSource, Reading } from '../source/source.js'

/** A source, or a gate in it, may be the application's own: what it throws refuses under its name. */
export const refusalOfSource = ({ name }: CertificateSource, thrown: unknown): AnyClientCertError =>
  asInternal(thrown, `the source ${quote(String(name))}`, 'perhaps')

/** The same of an answer it has promised, also where that does not come. */
export async function inSourceTime(source: CertificateSource, reading: PromiseLike<Reading>): Promise<Reading> {
  try {
    return await inTime(reading, limits.sourceMilliseconds)
  } catch (thrown) {
    throw refusalOfSource(source, thrown)
  }
}
