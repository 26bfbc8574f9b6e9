/* The instructions of a Cortex-M0+ that touch nothing but its registers, its memory, the SIO's
 * divider and spin locks: the ones rp2040py executes most. Everything else (peripherals,
 * exceptions, sleep) is left to rp2040py, instruction by instruction: `run` returns before it.
 * Results, flags and cycles are rp2040py 0.3.6's own, its departures from ARMv6-M included
 * (carry of a shift by a register of 0, overflow of ADC and SBC at the carry), so that both
 * executions of a program are the same; tests/board/test_board_thumb.py holds them side by side.
 */
#include <stdint.h>
#include <string.h>

enum { SRAM = 0x20000000, SRAM_SIZE = 264 * 1024, FLASH = 0x10000000, FLASH_SIZE = 16 << 20 };
enum { ROM_SIZE = 16 * 1024 };
#define SIO 0xD0000000u
enum { CPUID = 0, LOCKS_STATE = 0x5C, DIVIDER = 0x60, DIVIDER_END = 0x7C, LOCKS = 0x100 };
enum { LOCKS_END = 0x180 };

typedef struct {
    uint32_t *r;
    uint8_t *sram, *flash, *rom;
    uint32_t n, z, c, v, masked;
    uint32_t quiet;   /* nothing is pending that could interrupt when interrupts are let in */
    uint32_t updated; /* out: whether something pends has to be looked at */
    uint32_t dividend, divisor, quotient, remainder, ready, locks;
} Cpu;

static void divide(Cpu *cpu, int is_signed)
{
    uint32_t a = cpu->dividend, b = cpu->divisor;
    if (b == 0) {
        cpu->quotient = a > 0 ? 0xFFFFFFFFu : 1;
        cpu->remainder = a;
    } else if (is_signed) {
        int64_t q = (int64_t)(int32_t)a / (int32_t)b;
        cpu->quotient = (uint32_t)q;
        cpu->remainder = (uint32_t)((int64_t)(int32_t)a - q * (int32_t)b);
    } else {
        cpu->quotient = a / b;
        cpu->remainder = a % b;
    }
    cpu->ready = 3;
}

/* Whether an offset into the SIO is one of those kept here. */
static int ours(uint32_t at)
{
    return at == CPUID || at == LOCKS_STATE || (at >= DIVIDER && at < DIVIDER_END) ||
           (at >= LOCKS && at < LOCKS_END);
}

uint32_t sio_read(Cpu *cpu, uint32_t at)
{
    if (at >= LOCKS) {
        uint32_t bit = 1u << ((at - LOCKS) >> 2);
        if (cpu->locks & bit)
            return 0;
        cpu->locks |= bit;
        return bit;
    }
    switch (at) {
    case LOCKS_STATE: return cpu->locks;
    case 0x60: case 0x68: return cpu->dividend;
    case 0x64: case 0x6C: return cpu->divisor;
    case 0x70: cpu->ready &= ~2u; return cpu->quotient;
    case 0x74: return cpu->remainder;
    case 0x78: return cpu->ready;
    }
    return 0;
}

void sio_write(Cpu *cpu, uint32_t at, uint32_t value)
{
    if (at >= LOCKS) {
        cpu->locks &= ~(1u << ((at - LOCKS) >> 2));
        return;
    }
    switch (at) {
    case 0x60: cpu->dividend = value; divide(cpu, 0); break;
    case 0x64: cpu->divisor = value; divide(cpu, 0); break;
    case 0x68: cpu->dividend = value; divide(cpu, 1); break;
    case 0x6C: cpu->divisor = value; divide(cpu, 1); break;
    case 0x70: cpu->quotient = value; cpu->ready = 3; break;
    case 0x74: cpu->remainder = value; cpu->ready = 3; break;
    }
}

/* Where `size` bytes at an address lie, NULL when not all of them are memory to be read. */
static inline uint8_t *readable(Cpu *cpu, uint32_t address, uint32_t size)
{
    uint32_t at = address - SRAM;
    if (at < SRAM_SIZE && at + size <= SRAM_SIZE)
        return cpu->sram + at;
    at = address - FLASH;
    if (at < FLASH_SIZE && at + size <= FLASH_SIZE)
        return cpu->flash + at;
    if (address < ROM_SIZE && address + size <= ROM_SIZE)
        return cpu->rom + address;
    return 0;
}

static inline uint8_t *writable(Cpu *cpu, uint32_t address, uint32_t size)
{
    uint32_t at = address - SRAM;
    return at < SRAM_SIZE && at + size <= SRAM_SIZE ? cpu->sram + at : 0;
}

static inline uint32_t load32(const uint8_t *p) { uint32_t x; memcpy(&x, p, 4); return x; }
static inline uint32_t load16(const uint8_t *p) { uint16_t x; memcpy(&x, p, 2); return x; }

#define NZ(x) do { uint32_t nz = (x); n = nz >> 31; z = nz == 0; } while (0)
#define LEAVE goto leave

/* Runs until `budget` cycles are used up or the next instruction is not one of these; gives the
 * cycles used. */
int64_t run(Cpu *cpu, int64_t budget)
{
    uint32_t *r = cpu->r, pc = r[15];
    uint32_t n = cpu->n, z = cpu->z, c = cpu->c, v = cpu->v;
    int64_t used = 0;
    uint8_t *p;
    uint32_t address, value, i, count;
    cpu->updated = 0;

    while (used < budget) {
        uint8_t *code = readable(cpu, pc & ~1u, 4);
        if (!code)
            LEAVE;
        uint32_t op = load16(code), next = pc + 2;
        int cycles = 1;
        switch (op >> 11) {
        case 0: { /* LSL */
            uint32_t by = (op >> 6) & 31, x = r[(op >> 3) & 7], y = x << by;
            r[op & 7] = y;
            NZ(y);
            if (by)
                c = (x >> (32 - by)) & 1;
            break;
        }
        case 1: { /* LSR */
            uint32_t by = (op >> 6) & 31, x = r[(op >> 3) & 7], y = by ? x >> by : 0;
            r[op & 7] = y;
            NZ(y);
            c = (x >> (by ? by - 1 : 31)) & 1;
            break;
        }
        case 2: { /* ASR */
            uint32_t by = (op >> 6) & 31, x = r[(op >> 3) & 7];
            uint32_t y = (uint32_t)((int32_t)x >> (by ? by : 31));
            r[op & 7] = y;
            NZ(y);
            c = (x >> (by ? by - 1 : 31)) & 1;
            break;
        }
        case 3: { /* ADD, SUB: register or three bits */
            uint32_t x = r[(op >> 3) & 7], y = (op >> 6) & 7, s;
            if (!(op & 0x400))
                y = r[y];
            if (op & 0x200) {
                s = x - y;
                c = x >= y;
                v = ((x ^ y) & (x ^ s)) >> 31;
            } else {
                s = x + y;
                c = s < x;
                v = (~(x ^ y) & (x ^ s)) >> 31;
            }
            r[op & 7] = s;
            NZ(s);
            break;
        }
        case 4: /* MOVS */
            r[(op >> 8) & 7] = op & 0xFF;
            NZ(op & 0xFF);
            break;
        case 5: case 7: { /* CMP, SUBS */
            uint32_t x = r[(op >> 8) & 7], y = op & 0xFF, s = x - y;
            c = x >= y;
            v = ((x ^ y) & (x ^ s)) >> 31;
            NZ(s);
            if (op & 0x1000)
                r[(op >> 8) & 7] = s;
            break;
        }
        case 6: { /* ADDS */
            uint32_t x = r[(op >> 8) & 7], y = op & 0xFF, s = x + y;
            c = s < x;
            v = (~(x ^ y) & (x ^ s)) >> 31;
            NZ(s);
            r[(op >> 8) & 7] = s;
            break;
        }
        case 8: {
            if (op & 0x400) { /* high registers, BX */
                uint32_t m = (op >> 3) & 15, d = (op & 7) | ((op >> 4) & 8);
                uint32_t x = m == 15 ? pc + 4 : r[m];
                switch ((op >> 8) & 3) {
                case 0:
                    x += d == 15 ? pc + 4 : r[d];
                    /* fall through */
                case 2:
                    if (d == 15) {
                        next = x & ~1u;
                        cycles = 2;
                    } else
                        r[d] = d == 13 ? x & ~3u : x;
                    break;
                case 1: {
                    if (m == 15 || d == 15)
                        LEAVE;
                    uint32_t y = r[m], s;
                    x = r[d];
                    s = x - y;
                    c = x >= y;
                    v = ((x ^ y) & (x ^ s)) >> 31;
                    NZ(s);
                    break;
                }
                case 3:
                    if ((op & 7) || m == 15 || (op & 0x80 ? m == 14 : r[m] >> 28 == 15))
                        LEAVE;
                    if (op & 0x80)
                        r[14] = next | 1;
                    next = r[m] & ~1u;
                    cycles = 2;
                    break;
                }
                break;
            }
            uint32_t d = op & 7, x = r[d], y = r[(op >> 3) & 7], s = 0;
            int keep = 1;
            switch ((op >> 6) & 15) {
            case 0: s = x & y; break;
            case 1: s = x ^ y; break;
            case 2:
                y &= 0xFF;
                s = y >= 32 ? 0 : x << y;
                if (y)
                    c = (x >> ((32 - y) & 31)) & 1;
                break;
            case 3:
                y &= 0xFF;
                s = y < 32 ? x >> y : 0;
                c = y <= 32 ? (x >> ((y - 1) & 31)) & 1 : 0;
                break;
            case 4:
                y &= 0xFF;
                y = y < 32 ? y : 32;
                s = (uint32_t)((int32_t)x >> (y < 32 ? y : 31));
                c = (x >> ((y - 1) & 31)) & 1;
                break;
            case 5: {
                int64_t second = (int64_t)x + c, raw = (int64_t)y + second;
                s = (uint32_t)raw;
                v = (int64_t)(int32_t)s != (int64_t)(int32_t)y + (int32_t)(uint32_t)second;
                c = raw != (int64_t)s;
                break;
            }
            case 6: {
                int64_t less = (int64_t)y + 1 - c;
                uint32_t w = (uint32_t)less;
                s = (uint32_t)((int64_t)x - less);
                c = (int64_t)x >= less;
                v = ((x ^ w) & (x ^ s)) >> 31;
                break;
            }
            case 7:
                y &= 31;
                s = y ? x >> y | x << (32 - y) : x;
                c = s >> 31;
                break;
            case 8: s = x & y; keep = 0; break;
            case 9:
                s = 0 - y;
                c = y == 0;
                v = (y & s) >> 31;
                break;
            case 10:
                s = x - y;
                c = x >= y;
                v = ((x ^ y) & (x ^ s)) >> 31;
                keep = 0;
                break;
            case 11:
                s = x + y;
                c = s < x;
                v = (~(x ^ y) & (x ^ s)) >> 31;
                keep = 0;
                break;
            case 12: s = x | y; break;
            case 13: s = x * y; break;
            case 14: s = x & ~y; break;
            case 15: s = ~y; break;
            }
            NZ(s);
            if (keep)
                r[d] = s;
            break;
        }
        case 9: /* LDR literal */
            address = ((pc + 4) & ~3u) + ((op & 0xFF) << 2);
            if (!(p = readable(cpu, address, 4)))
                LEAVE;
            r[(op >> 8) & 7] = load32(p);
            cycles = 2;
            break;
        case 10: case 11: { /* by register */
            uint32_t t = op & 7;
            address = r[(op >> 3) & 7] + r[(op >> 6) & 7];
            cycles = 2;
            switch ((op >> 9) & 7) {
            case 0: goto store_word;
            case 1: goto store_half;
            case 2: goto store_byte;
            case 4: goto load_word;
            case 5: goto load_half;
            case 6: goto load_byte;
            case 3:
                if (!(p = readable(cpu, address, 1)))
                    LEAVE;
                r[t] = (uint32_t)(int8_t)*p;
                break;
            case 7:
                if (address & 1 || !(p = readable(cpu, address, 2)))
                    LEAVE;
                r[t] = (uint32_t)(int16_t)load16(p);
                break;
            }
            break;
        }
        case 12: /* STR */
            address = r[(op >> 3) & 7] + ((op >> 4) & 0x7C);
        store_word:
            value = r[op & 7];
        store:
            cycles = 2;
            if (address & 3)
                LEAVE;
            if ((p = writable(cpu, address, 4)))
                memcpy(p, &value, 4);
            else if (address - SIO < LOCKS_END && ours(address - SIO)) {
                sio_write(cpu, address - SIO, value);
                cycles = 1;
            } else
                LEAVE;
            break;
        case 13: /* LDR */
            address = r[(op >> 3) & 7] + ((op >> 4) & 0x7C);
        load_word:
            i = op & 7;
        load:
            cycles = 2;
            if (address & 3)
                LEAVE;
            if ((p = readable(cpu, address, 4)))
                r[i] = load32(p);
            else if (address - SIO < LOCKS_END && ours(address - SIO)) {
                r[i] = sio_read(cpu, address - SIO);
                cycles = 1;
            } else
                LEAVE;
            break;
        case 14: /* STRB */
            address = r[(op >> 3) & 7] + ((op >> 6) & 31);
        store_byte:
            if (!(p = writable(cpu, address, 1)))
                LEAVE;
            *p = (uint8_t)r[op & 7];
            cycles = 2;
            break;
        case 15: /* LDRB */
            address = r[(op >> 3) & 7] + ((op >> 6) & 31);
        load_byte:
            if (!(p = readable(cpu, address, 1)))
                LEAVE;
            r[op & 7] = *p;
            cycles = 2;
            break;
        case 16: /* STRH */
            address = r[(op >> 3) & 7] + ((op >> 5) & 0x3E);
        store_half:
            if (address & 1 || !(p = writable(cpu, address, 2)))
                LEAVE;
            p[0] = (uint8_t)r[op & 7];
            p[1] = (uint8_t)(r[op & 7] >> 8);
            cycles = 2;
            break;
        case 17: /* LDRH */
            address = r[(op >> 3) & 7] + ((op >> 5) & 0x3E);
        load_half:
            if (address & 1 || !(p = readable(cpu, address, 2)))
                LEAVE;
            r[op & 7] = load16(p);
            cycles = 2;
            break;
        case 18: /* STR to the stack */
            address = r[13] + ((op & 0xFF) << 2);
            value = r[(op >> 8) & 7];
            goto store;
        case 19: /* LDR from the stack */
            address = r[13] + ((op & 0xFF) << 2);
            i = (op >> 8) & 7;
            goto load;
        case 20: /* ADR */
            r[(op >> 8) & 7] = (pc & ~3u) + 4 + ((op & 0xFF) << 2);
            break;
        case 21:
            r[(op >> 8) & 7] = r[13] + ((op & 0xFF) << 2);
            break;
        case 22: case 23:
            if ((op & 0xFE00) == 0xB400) { /* PUSH */
                count = (uint32_t)__builtin_popcount(op & 0x1FF);
                address = r[13] - 4 * count;
                if (address & 3 || !(p = writable(cpu, address, 4 * count)))
                    LEAVE;
                for (i = 0; i < 8; i++)
                    if (op & (1u << i)) {
                        memcpy(p, &r[i], 4);
                        p += 4;
                        cycles++;
                    }
                if (op & 0x100)
                    memcpy(p, &r[14], 4);
                r[13] = address;
            } else if ((op & 0xFE00) == 0xBC00) { /* POP */
                count = (uint32_t)__builtin_popcount(op & 0x1FF);
                address = r[13];
                if (address & 3 || !(p = readable(cpu, address, 4 * count)))
                    LEAVE;
                if (op & 0x100) {
                    value = load32(p + 4 * (count - 1));
                    if (value >> 28 == 15)
                        LEAVE;
                    next = value & ~1u;
                    cycles += 2;
                }
                for (i = 0; i < 8; i++)
                    if (op & (1u << i)) {
                        r[i] = load32(p);
                        p += 4;
                        cycles++;
                    }
                r[13] = address + 4 * count;
            } else if ((op & 0xFF00) == 0xB000) {
                value = (op & 0x7F) << 2;
                r[13] = (op & 0x80 ? r[13] - value : r[13] + value) & ~3u;
            } else if ((op & 0xFF00) == 0xB200) {
                uint32_t x = r[(op >> 3) & 7];
                switch ((op >> 6) & 3) {
                case 0: x = (uint32_t)(int16_t)x; break;
                case 1: x = (uint32_t)(int8_t)x; break;
                case 2: x &= 0xFFFF; break;
                case 3: x &= 0xFF; break;
                }
                r[op & 7] = x;
            } else if ((op & 0xFF00) == 0xBA00 && ((op >> 6) & 3) != 2) {
                uint32_t x = __builtin_bswap32(r[(op >> 3) & 7]);
                if (op & 0x40)
                    x = x >> 16 | x << 16;
                if ((op & 0xC0) == 0xC0)
                    x = (uint32_t)(int16_t)x;
                r[op & 7] = x;
            } else if (op == 0xB672)
                cpu->masked = 1;
            else if (op == 0xB662) {
                cpu->masked = 0;
                cpu->updated = !cpu->quiet;
            } else if (op != 0xBF00)
                LEAVE;
            break;
        case 24: case 25: { /* STM, LDM */
            uint32_t base = (op >> 8) & 7;
            count = (uint32_t)__builtin_popcount(op & 0xFF);
            address = r[base];
            p = op & 0x800 ? readable(cpu, address, 4 * count)
                           : writable(cpu, address, 4 * count);
            if (!p || address & 3)
                LEAVE;
            for (i = 0; i < 8; i++)
                if (op & (1u << i)) {
                    if (op & 0x800)
                        r[i] = load32(p);
                    else
                        memcpy(p, &r[i], 4);
                    p += 4;
                    cycles++;
                }
            if (!(op & (1u << base)))
                r[base] = address + 4 * count;
            break;
        }
        case 26: case 27: { /* B on a condition */
            uint32_t yes;
            switch ((op >> 9) & 7) {
            case 0: yes = z; break;
            case 1: yes = c; break;
            case 2: yes = n; break;
            case 3: yes = v; break;
            case 4: yes = c && !z; break;
            case 5: yes = n == v; break;
            case 6: yes = n == v && !z; break;
            default: LEAVE;
            }
            if (yes != ((op >> 8) & 1)) {
                next = pc + 4 + ((uint32_t)(int32_t)(int8_t)op << 1);
                cycles = 2;
            }
            break;
        }
        case 28: /* B */
            next = pc + 4 + ((uint32_t)((int32_t)(op << 21) >> 20));
            cycles = 2;
            break;
        case 30: {
            uint32_t low = load16(code + 2);
            if ((low & 0xD000) == 0xD000) { /* BL */
                uint32_t s = (op >> 10) & 1, j1 = (low >> 13) & 1, j2 = (low >> 11) & 1;
                uint32_t offset = (s ? 0xFF000000u : 0) | (1 ^ s ^ j1) << 23 | (1 ^ s ^ j2) << 22;
                offset |= (op & 0x3FF) << 12 | (low & 0x7FF) << 1;
                r[14] = (pc + 4) | 1;
                next = pc + 4 + offset;
            } else if (op == 0xF3BF && low >= 0x8F40 && low < 0x8F70) { /* DSB, DMB, ISB */
                next = pc + 4;
            } else if (op == 0xF3EF && (low & 0xF0FF) == 0x8010) { /* MRS, PRIMASK */
                if (((low >> 8) & 15) > 12)
                    LEAVE;
                r[(low >> 8) & 15] = cpu->masked;
                next = pc + 4;
            } else if ((op & 0xFFF0) == 0xF380 && low == 0x8810 && (op & 15) < 13) { /* MSR */
                cpu->masked = r[op & 15] & 1;
                cpu->updated = !cpu->quiet;
                next = pc + 4;
            } else
                LEAVE;
            cycles = 3;
            break;
        }
        default:
            LEAVE;
        }
        used += cycles;
        pc = next;
        if (cpu->updated)
            break;
    }
leave:
    r[15] = pc;
    cpu->n = n;
    cpu->z = z;
    cpu->c = c;
    cpu->v = v;
    return used;
}
