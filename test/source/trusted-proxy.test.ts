import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { ClientCertConfigError, proxyAddress } from '../../src/index.js'
import { requestWith } from './request.js'

const admits = (range: string, peer: string | undefined) => proxyAddress(range).admits(requestWith([], peer ?? null))
const emitWarning = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined as never)
afterEach(() => {
  emitWarning.mockClear()
})

describe('H-03: forms of an address', () => {
  const cases: [range: string, peer: string | undefined, admitted: boolean][] = [
    ['10.0.3.7', '10.0.3.7', true],
    ['10.0.3.7', '10.0.3.8', false],
    ['10.0.3.7', '::ffff:10.0.3.7', true],
    ['10.0.3.7', '::FFFF:10.0.3.7', true],
    ['10.0.3.7', '::ffff:10.0.3.8', false],
    ['10.0.3.7', '::10.0.3.7', false],
    ['10.0.3.7', '64:ff9b::a00:307', false],
    ['10.0.3.0/24', '10.0.3.255', true],
    ['10.0.3.0/24', '10.0.4.0', false],
    ['10.0.3.0/24', '::ffff:10.0.3.9', true],
    [' 10.0.3.7 ', '10.0.3.7', true],
    ['::1', '::1', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['::1', '127.0.0.1', false],
    ['127.0.0.1', '::1', false],
    ['fe80::1', 'fe80::1%eth0', true],
    ['fe80::1', 'fe80::2%eth0', false],
    ['2001:db8::/48', '2001:DB8:0:1::5', true],
    ['2001:db8::/48', '2001:db8:1::5', false],
    ['::/48', '10.0.3.7', false],
    ['::/48', '::ffff:10.0.3.7', false],
    ['::/64', '8.8.8.8', false],
    ['10.0.3.7', undefined, false],
    ['10.0.3.7', '', false],
    ['10.0.3.7', '10.0.3.07', false],
    ['10.0.3.7', '10.0.3.7:443', false],
    ['10.0.3.7', '10.0.3.7, 1.2.3.4', false],
    ['10.0.3.7', '::ffff:10.0.3.7.evil', false],
    ['10.0.3.7', '::ffff:0a00:0307', false],
  ]
  for (const [range, peer, admitted] of cases) {
    test(`proxyAddress('${range}') ${admitted ? 'admits' : 'does not admit'} ${peer}`, () => {
      expect(admits(range, peer)).toBe(admitted)
    })
  }

  test('a request without a socket passes nothing', () => {
    expect(proxyAddress('10.0.3.7').admits({ rawHeaders: [], headers: {} } as never)).toBe(false)
  })

  test('one of several is enough, and the operator sees them all', () => {
    const gate = proxyAddress('10.0.3.7', '2001:db8::/48')
    expect([gate.admits(requestWith([], '10.0.3.7')), gate.admits(requestWith([], '2001:db8::1'))]).toEqual([
      true,
      true,
    ])
    expect(gate.admits(requestWith([], '::1'))).toBe(false)
    expect(gate.description).toBe("proxyAddress('10.0.3.7', '2001:db8::/48')")
  })
})

describe('H-02: what a header says about the peer', () => {
  test('has no say', () => {
    const headers = [
      ['X-Forwarded-For', '10.0.3.7'],
      ['Forwarded', 'for=10.0.3.7'],
      ['X-Real-IP', '10.0.3.7'],
    ] as const
    const request = Object.assign(requestWith(headers, '203.0.113.9'), { ip: '10.0.3.7', ips: ['10.0.3.7'] })
    expect(proxyAddress('10.0.3.7').admits(request)).toBe(false)
  })
})

describe('ranges that cannot be meant are refused', () => {
  const cases: [range: unknown, said: string][] = [
    ['0.0.0.0/0', 'would believe everybody'],
    ['::/0', 'would believe everybody'],
    ['10.0.3.7/0', 'would believe everybody'],
    ['10.0.3.7/33', 'at most 32 bits'],
    ['::1/129', 'at most 128 bits'],
    ['10.0.3', 'neither an address nor a range'],
    ['10.0.3.07', 'neither an address nor a range'],
    ['0x0a.0.3.7', 'neither an address nor a range'],
    ['10.0.3.7/', 'neither an address nor a range'],
    ['10.0.3.7/8/8', 'neither an address nor a range'],
    ['10.0.3.7/-1', 'neither an address nor a range'],
    ['10.0.3.0-10.0.3.9', 'neither an address nor a range'],
    ['proxy.internal', 'host names are not resolved'],
    ['localhost', 'host names are not resolved'],
    ['loopback', 'host names are not resolved'],
    ['*', 'neither an address nor a range'],
    ['', 'neither an address nor a range'],
    ['fe80::1%eth0', 'neither an address nor a range'],
    ['::ffff:10.0.3.7', 'write it as IPv4'],
    ['::ffff:0a00:0307', 'write it as IPv4'],
    ['0:0:0:0:0:ffff:10.0.3.7', 'write it as IPv4'],
    ['::ffff:0:0/96', 'write it as IPv4'],
    [undefined, 'got nothing'],
    [['10.0.3.7'], 'got a list — proxyAddress(...list)'],
    [true, 'got boolean'],
  ]
  for (const [range, said] of cases) {
    test(`proxyAddress(${JSON.stringify(range)}): ${said}`, () => {
      expect(() => proxyAddress(range as string)).toThrow(said)
      expect(() => proxyAddress('10.0.0.1', range as string)).toThrow(ClientCertConfigError)
    })
  }

  test('a very wide range is warned about, a wide one is not', () => {
    proxyAddress('10.0.0.0/8')
    proxyAddress('2001:db8::/32')
    expect(emitWarning.mock.calls.map(([, options]) => (options as { code?: string }).code)).toEqual([
      'MTLS_WIDE_PROXY_RANGE',
      'MTLS_WIDE_PROXY_RANGE',
    ])
    emitWarning.mockClear()
    proxyAddress('10.1.0.0/16', '2001:db8::/48')
    expect(emitWarning).not.toHaveBeenCalled()
  })
})
