import { ClientCertConfigError } from '../errors.js'
import { whenRejected } from '../thenable.js'
import type { AnyRequest } from './source.js'
import { describeGate, type TrustedProxy } from './trusted-proxy.js'

/**
 * Admits whom every gate admits.
 *
 * @example
 * allOf(proxyAddress('10.0.3.0/24'), proxySecret({ header: 'X-Proxy-Secret', secrets: { file: './proxy-secret' } }))
 */
export function allOf(first: TrustedProxy, ...rest: readonly TrustedProxy[]): TrustedProxy {
  return combine('allOf', [first, ...rest], false)
}

/**
 * Admits whom one of the gates admits. Every gate is asked, so that a secret leaves the request whichever gate admits.
 *
 * @example
 * anyOf(unixSocket(), proxyAddress('::1'))
 */
export function anyOf(first: TrustedProxy, ...rest: readonly TrustedProxy[]): TrustedProxy {
  return combine('anyOf', [first, ...rest], true)
}

/** Where one gate throws, nobody waits for the others any more: what they reject with must not end the process. */
function askAll(
  gates: readonly TrustedProxy[],
  request: AnyRequest,
  at: number,
): readonly (boolean | Promise<boolean>)[] {
  const answers: (boolean | Promise<boolean>)[] = []
  try {
    for (const gate of gates) answers.push(gate.admits(request, at))
  } catch (error) {
    for (const answer of answers) whenRejected(answer, () => {})
    throw error
  }
  return answers
}

/** `enough`: the answer of one gate that settles it. Nothing is waited for unless a gate has to be. */
function combine(name: 'allOf' | 'anyOf', gates: readonly TrustedProxy[], enough: boolean): TrustedProxy {
  gates.forEach((gate, i) => {
    if (typeof gate?.admits !== 'function' || typeof gate.description !== 'string') {
      throw new ClientCertConfigError(`${name}: argument ${i + 1} is no gate — ${name}(proxyAddress('10.0.3.7'), …)`)
    }
  })
  const settle = (answers: readonly boolean[]) =>
    answers.some((answer) => (answer === true) === enough) ? enough : !enough
  return Object.freeze({
    description: `${name}(${gates.map(({ description }) => description).join(', ')})`,
    admits(request: AnyRequest, at: number) {
      const answers = askAll(gates, request, at)
      return answers.some((answer) => typeof answer === 'object')
        ? Promise.all(answers).then(settle)
        : settle(answers as boolean[])
    },
    describe: () => ({ kind: name, of: gates.map(describeGate) }),
  })
}
