import { inTime } from '../deadline.js'
import { asInternal } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import type { CertificateSource, Reading } from '../source/source.js'
import { isThenable } from '../thenable.js'

/**
 * What the source finds on a request or a connection. It, or a gate in it, may be the application's own: what it throws refuses under its name,
 * and so does an answer that does not come.
 */
export function readBy(source: CertificateSource, read: () => Reading | Promise<Reading>): Reading | Promise<Reading> {
  try {
    const reading = read()
    return isThenable(reading) ? waitFor(reading, source) : reading
  } catch (thrown) {
    throw refusalBy(source, thrown)
  }
}

async function waitFor(reading: Promise<Reading>, source: CertificateSource): Promise<Reading> {
  const milliseconds = limits.sourceMilliseconds
  try {
    return await inTime(reading, milliseconds, () => new Error(`it has not answered in ${milliseconds} ms`))
  } catch (thrown) {
    throw refusalBy(source, thrown)
  }
}

const refusalBy = (source: CertificateSource, thrown: unknown) =>
  asInternal(thrown, `the source ${quote(String(source.name))}`, 'perhaps')
