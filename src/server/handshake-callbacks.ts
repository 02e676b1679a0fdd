import type { SecureContext, TlsOptions } from 'node:tls'
import { quote } from '../help.js'
import { asError } from '../stack.js'
import { whenRejected } from '../thenable.js'
import { warn } from '../warn.js'

type Answer = (error: Error | null, context?: SecureContext) => void
type SniCallback = NonNullable<TlsOptions['SNICallback']>
type AlpnCallback = NonNullable<TlsOptions['ALPNCallback']>

/**
 * An `SNICallback` that cannot end the process: what the application's throws, or rejects with, ends this one connection (CVE-2026-21637),
 * and so does a second answer that Node would take for an error of its own. The name is what a stranger sent.
 */
export function safeSniCallback(callback: SniCallback): SniCallback {
  const warn = warnOnce('SNICallback')
  return (servername, answer) => {
    let isAnswered = false
    const once: Answer = (error, context) => {
      if (isAnswered) return
      isAnswered = true
      const isContext = context === undefined || context === null || typeof context === 'object'
      if (error) answer(error)
      else if (isContext) answer(null, context)
      else answer(warn(new TypeError('it answered with something that is no secure context')))
    }
    const failed = (error: unknown) => once(warn(error))
    try {
      whenRejected(callback(servername, once), failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** An `ALPNCallback` that cannot end the process: an exception, and a protocol that was not offered, end the handshake with an alert. */
export function safeAlpnCallback(callback: AlpnCallback): AlpnCallback {
  const warn = warnOnce('ALPNCallback')
  return (offer) => {
    try {
      const protocol = callback(offer)
      if (protocol === undefined || offer.protocols.includes(protocol)) return protocol
      warn(new TypeError('it chose a protocol that the client did not offer'))
    } catch (error) {
      warn(error)
    }
    return undefined
  }
}

/** Said once: strangers can make it happen as often as they like. */
function warnOnce(name: string): (error: unknown) => Error {
  let isWarned = false
  return (thrown) => {
    const error = asError(thrown)
    if (!isWarned) {
      warn(
        'MTLS_HANDSHAKE_CALLBACK',
        `${name} failed, and the connection was ended: ${quote(error.message)} — handle it there`,
      )
    }
    isWarned = true
    return error
  }
}
