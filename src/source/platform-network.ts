import { ClientCertConfigError } from '../errors.js'
import { warn } from '../warn.js'
import type { AnyRequest } from './source.js'
import type { SynchronousGate } from './trusted-proxy.js'

/** Said aloud, so that nobody opens this gate without knowing what it is. */
const statementForm = /^I have read \S.{9,}$/

/**
 * Admits every peer that has an address. For platforms that put their own proxy in front of an application and offer nothing to recognise
 * it by (Azure App Service, Cloud Run): everything rests on their network letting nobody else through. Warns at start-up.
 *
 * @param statement what you have read and accept, beginning with "I have read"; the warning repeats it
 * @example
 * platformNetwork('I have read that whoever reaches this port can be anybody')
 */
export function platformNetwork(statement: string): SynchronousGate {
  if (typeof statement !== 'string' || !statementForm.test(statement)) {
    throw new ClientCertConfigError(
      "platformNetwork: believes every peer — prefer proxyAddress(), proxySecret() or proxyCertificate(); if your platform offers none of them: platformNetwork('I have read that whoever reaches this port can be anybody')",
    )
  }
  warn(
    'MTLS_PLATFORM_NETWORK',
    `platformNetwork(): whoever reaches this port can be anybody, only the network of your platform stands before it (${JSON.stringify(statement)})`,
  )
  return Object.freeze({
    description: 'platformNetwork(…)',
    admits: ({ socket }: AnyRequest) => socket?.remoteAddress !== undefined,
    describe: () => ({ kind: 'platformNetwork', because: statement }),
  })
}
