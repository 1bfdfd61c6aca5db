-- Clear(), VARCHAR(16777216)
t."C"
-- Clear(), NUMBER(38,0)
t."C"
-- Clear(), NUMBER(20,4)
t."C"
-- Clear(), FLOAT
t."C"
-- Clear(), BOOLEAN
t."C"
-- Clear(), DATE
t."C"
-- Clear(), TIMESTAMP_NTZ(9)
t."C"
-- Clear(), TIMESTAMP_TZ(9)
t."C"
-- Clear(), VARIANT
t."C"
-- Clear(), VARCHAR(5)
t."C"
-- Clear(), NUMBER(5,0)
t."C"
-- Clear(), NUMBER(38,2)
t."C"
-- Clear(), TIMESTAMP_LTZ(3)
t."C"
-- Clear(), BINARY(8388608)
t."C"
-- Clear(), TIME(9)
t."C"
-- Clear(), VECTOR(FLOAT, 3)
t."C"
-- Partial(keep_last=-1), VARCHAR(16777216)
CASE WHEN t."C" IS NOT NULL THEN '***' END
-- Partial(keep_last=-1), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Partial(keep_last=-1), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Partial(keep_last=-1), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Partial(keep_last=-1), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Partial(keep_last=-1), VARCHAR(5)
CASE WHEN t."C" IS NOT NULL THEN '***' END
-- Partial(keep_last=-1), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Partial(keep_last=-1), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Partial(keep_last=0), VARCHAR(16777216)
CASE WHEN t."C" IS NOT NULL THEN '***' END
-- Partial(keep_last=0), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Partial(keep_last=0), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Partial(keep_last=0), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Partial(keep_last=0), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Partial(keep_last=0), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Partial(keep_last=0), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=0), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=0), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Partial(keep_last=0), VARCHAR(5)
CASE WHEN t."C" IS NOT NULL THEN '***' END
-- Partial(keep_last=0), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Partial(keep_last=0), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Partial(keep_last=0), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Partial(keep_last=0), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Partial(keep_last=0), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Partial(keep_last=0), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Partial(keep_last=1), VARCHAR(16777216)
'***' || RIGHT(t."C", LEAST(1, FLOOR(LENGTH(t."C") / 2)))
-- Partial(keep_last=1), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Partial(keep_last=1), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Partial(keep_last=1), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Partial(keep_last=1), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Partial(keep_last=1), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Partial(keep_last=1), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=1), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=1), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Partial(keep_last=1), VARCHAR(5)
'***' || RIGHT(t."C", LEAST(1, FLOOR(LENGTH(t."C") / 2)))
-- Partial(keep_last=1), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Partial(keep_last=1), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Partial(keep_last=1), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Partial(keep_last=1), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Partial(keep_last=1), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Partial(keep_last=1), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Partial(keep_last=4), VARCHAR(16777216)
'***' || RIGHT(t."C", LEAST(4, FLOOR(LENGTH(t."C") / 2)))
-- Partial(keep_last=4), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Partial(keep_last=4), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Partial(keep_last=4), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Partial(keep_last=4), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Partial(keep_last=4), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Partial(keep_last=4), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=4), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Partial(keep_last=4), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Partial(keep_last=4), VARCHAR(5)
'***' || RIGHT(t."C", LEAST(4, FLOOR(LENGTH(t."C") / 2)))
-- Partial(keep_last=4), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Partial(keep_last=4), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Partial(keep_last=4), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Partial(keep_last=4), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Partial(keep_last=4), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Partial(keep_last=4), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Round(step='100'), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- NULL: its type cannot show that
-- Round(step='100'), NUMBER(38,0)
(CASE WHEN t."C" < 0 THEN t."C" + MOD(-t."C", 100) WHEN t."C" >= 0 THEN t."C" - MOD(t."C", 100) END)::NUMBER(38,0)
-- Round(step='100'), NUMBER(20,4)
(CASE WHEN t."C" < 0 THEN t."C" + MOD(-t."C", 100) WHEN t."C" >= 0 THEN t."C" - MOD(t."C", 100) END)::NUMBER(20,4)
-- Round(step='100'), FLOAT
CASE WHEN t."C" = 0 THEN 0::FLOAT WHEN ABS(t."C") < 1e22 AND t."C" < 0 THEN (MOD(ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))), 100) - ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))))::FLOAT WHEN ABS(t."C") < 1e22 THEN (ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))) - MOD(ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))), 100))::FLOAT END
-- Round(step='100'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Round(step='100'), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Round(step='100'), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Round(step='100'), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Round(step='100'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Round(step='100'), VARCHAR(5)
NULL::VARCHAR(5)
-- NULL: its type cannot show that
-- Round(step='100'), NUMBER(5,0)
(CASE WHEN t."C" < 0 THEN t."C" + MOD(-t."C", 100) WHEN t."C" >= 0 THEN t."C" - MOD(t."C", 100) END)::NUMBER(5,0)
-- Round(step='100'), NUMBER(38,2)
(CASE WHEN t."C" < 0 THEN t."C" + MOD(-t."C", 100) WHEN t."C" >= 0 THEN t."C" - MOD(t."C", 100) END)::NUMBER(38,2)
-- Round(step='100'), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Round(step='100'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Round(step='100'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Round(step='100'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Round(step='0.25'), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- NULL: its type cannot show that
-- Round(step='0.25'), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Round(step='0.25'), NUMBER(20,4)
(CASE WHEN t."C" < 0 THEN t."C" + MOD(-t."C", 0.25) WHEN t."C" >= 0 THEN t."C" - MOD(t."C", 0.25) END)::NUMBER(20,4)
-- Round(step='0.25'), FLOAT
CASE WHEN t."C" = 0 THEN 0::FLOAT WHEN ABS(t."C") < 1e22 AND t."C" < 0 THEN (MOD(ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))), 0.25) - ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))))::FLOAT WHEN ABS(t."C") < 1e22 THEN (ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))) - MOD(ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))), 0.25))::FLOAT END
-- Round(step='0.25'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Round(step='0.25'), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Round(step='0.25'), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Round(step='0.25'), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Round(step='0.25'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Round(step='0.25'), VARCHAR(5)
NULL::VARCHAR(5)
-- NULL: its type cannot show that
-- Round(step='0.25'), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Round(step='0.25'), NUMBER(38,2)
(CASE WHEN t."C" < 0 THEN t."C" + MOD(-t."C", 0.25) WHEN t."C" >= 0 THEN t."C" - MOD(t."C", 0.25) END)::NUMBER(38,2)
-- Round(step='0.25'), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Round(step='0.25'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Round(step='0.25'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Round(step='0.25'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Round(step='0.00001'), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- NULL: its type cannot show that
-- Round(step='0.00001'), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Round(step='0.00001'), NUMBER(20,4)
t."C"
-- Round(step='0.00001'), FLOAT
CASE WHEN t."C" = 0 THEN 0::FLOAT WHEN ABS(t."C") < 1e22 AND t."C" < 0 THEN (MOD(ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))), 0.00001) - ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))))::FLOAT WHEN ABS(t."C") < 1e22 THEN (ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))) - MOD(ROUND((CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END)::NUMBER(38,15), LEAST(15, 14 - FLOOR(LOG(10, NULLIF(CASE WHEN ABS(t."C") < 1e22 THEN ABS(t."C") END, 0))))), 0.00001))::FLOAT END
-- Round(step='0.00001'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Round(step='0.00001'), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Round(step='0.00001'), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Round(step='0.00001'), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Round(step='0.00001'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Round(step='0.00001'), VARCHAR(5)
NULL::VARCHAR(5)
-- NULL: its type cannot show that
-- Round(step='0.00001'), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Round(step='0.00001'), NUMBER(38,2)
t."C"
-- Round(step='0.00001'), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Round(step='0.00001'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Round(step='0.00001'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Round(step='0.00001'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), DATE
DATE_TRUNC('YEAR', t."C")::DATE
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), TIMESTAMP_NTZ(9)
DATE_TRUNC('YEAR', t."C")::TIMESTAMP_NTZ(9)
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), TIMESTAMP_TZ(9)
DATE_TRUNC('YEAR', CONVERT_TIMEZONE('UTC', t."C"))::TIMESTAMP_TZ(9)
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), VARCHAR(5)
NULL::VARCHAR(5)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), TIMESTAMP_LTZ(3)
DATE_TRUNC('YEAR', CONVERT_TIMEZONE('UTC', t."C"))::TIMESTAMP_LTZ(3)
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), DATE
DATE_TRUNC('QUARTER', t."C")::DATE
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), TIMESTAMP_NTZ(9)
DATE_TRUNC('QUARTER', t."C")::TIMESTAMP_NTZ(9)
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), TIMESTAMP_TZ(9)
DATE_TRUNC('QUARTER', CONVERT_TIMEZONE('UTC', t."C"))::TIMESTAMP_TZ(9)
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), VARCHAR(5)
NULL::VARCHAR(5)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), TIMESTAMP_LTZ(3)
DATE_TRUNC('QUARTER', CONVERT_TIMEZONE('UTC', t."C"))::TIMESTAMP_LTZ(3)
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), DATE
DATE_TRUNC('MONTH', t."C")::DATE
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), TIMESTAMP_NTZ(9)
DATE_TRUNC('MONTH', t."C")::TIMESTAMP_NTZ(9)
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), TIMESTAMP_TZ(9)
DATE_TRUNC('MONTH', CONVERT_TIMEZONE('UTC', t."C"))::TIMESTAMP_TZ(9)
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), VARCHAR(5)
NULL::VARCHAR(5)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), TIMESTAMP_LTZ(3)
DATE_TRUNC('MONTH', CONVERT_TIMEZONE('UTC', t."C"))::TIMESTAMP_LTZ(3)
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), VARCHAR(16777216)
COALESCE(NULLIF(REGEXP_REPLACE(t."C", '^([a-z])''', '\\1*', 1, 0, 's'), t."C"), CASE WHEN t."C" IS NOT NULL THEN '***' END)
-- Regex(pattern="^([a-z])'", replacement='\\1*'), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), VARCHAR(5)
COALESCE(NULLIF(REGEXP_REPLACE(t."C", '^([a-z])''', '\\1*', 1, 0, 's'), t."C"), CASE WHEN t."C" IS NOT NULL THEN '***' END)
-- in a policy
LEFT(COALESCE(NULLIF(REGEXP_REPLACE(t."C", '^([a-z])''', '\\1*', 1, 0, 's'), t."C"), CASE WHEN t."C" IS NOT NULL THEN '***' END), 5)
-- Regex(pattern="^([a-z])'", replacement='\\1*'), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Regex(pattern="^([a-z])'", replacement='\\1*'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Hash(), VARCHAR(16777216)
SHA2(CONCAT((SELECT s.SALT FROM "ROLEVEND"."CONTROL"."SALT" AS s), TO_BINARY(t."C", 'UTF-8')), 256)
-- Hash(), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Hash(), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Hash(), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Hash(), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Hash(), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Hash(), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Hash(), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Hash(), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Hash(), VARCHAR(5)
SHA2(CONCAT((SELECT s.SALT FROM "ROLEVEND"."CONTROL"."SALT" AS s), TO_BINARY(t."C", 'UTF-8')), 256)
-- in a policy
LEFT(SHA2(CONCAT((SELECT s.SALT FROM "ROLEVEND"."CONTROL"."SALT" AS s), TO_BINARY(t."C", 'UTF-8')), 256), 5)
-- Hash(), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Hash(), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Hash(), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Hash(), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Hash(), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Hash(), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Constant(value="it's"), VARCHAR(16777216)
'it''s'
-- Constant(value="it's"), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Constant(value="it's"), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Constant(value="it's"), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Constant(value="it's"), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Constant(value="it's"), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Constant(value="it's"), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Constant(value="it's"), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Constant(value="it's"), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Constant(value="it's"), VARCHAR(5)
'it''s'
-- Constant(value="it's"), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Constant(value="it's"), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Constant(value="it's"), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Constant(value="it's"), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Constant(value="it's"), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Constant(value="it's"), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Constant(value='7'), VARCHAR(16777216)
'7'
-- Constant(value='7'), NUMBER(38,0)
7::NUMBER(38,0)
-- Constant(value='7'), NUMBER(20,4)
7::NUMBER(20,4)
-- Constant(value='7'), FLOAT
'7.0'::FLOAT
-- Constant(value='7'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Constant(value='7'), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Constant(value='7'), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Constant(value='7'), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Constant(value='7'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Constant(value='7'), VARCHAR(5)
'7'
-- Constant(value='7'), NUMBER(5,0)
7::NUMBER(5,0)
-- Constant(value='7'), NUMBER(38,2)
7::NUMBER(38,2)
-- Constant(value='7'), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Constant(value='7'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Constant(value='7'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Constant(value='7'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), VARCHAR(16777216)
'1970-01-01'
-- Constant(value='1970-01-01'), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), DATE
DATE_FROM_PARTS(1970, 1, 1)::DATE
-- Constant(value='1970-01-01'), TIMESTAMP_NTZ(9)
TIMESTAMP_NTZ_FROM_PARTS(1970, 1, 1, 0, 0, 0, 0)::TIMESTAMP_NTZ(9)
-- Constant(value='1970-01-01'), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), VARCHAR(5)
'1970-01-01'
-- in a policy
LEFT('1970-01-01', 5)
-- Constant(value='1970-01-01'), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Constant(value='1970-01-01'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), VARCHAR(16777216)
'2024-01-01T00:00:00+02:00'
-- Constant(value='2024-01-01T00:00:00+02:00'), NUMBER(38,0)
NULL::NUMBER(38,0)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), NUMBER(20,4)
NULL::NUMBER(20,4)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), FLOAT
NULL::FLOAT
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), BOOLEAN
NULL::BOOLEAN
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), DATE
NULL::DATE
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), TIMESTAMP_TZ(9)
TIMESTAMP_TZ_FROM_PARTS(2023, 12, 31, 22, 0, 0, 0, 'UTC')::TIMESTAMP_TZ(9)
-- Constant(value='2024-01-01T00:00:00+02:00'), VARIANT
NULL::VARIANT
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), VARCHAR(5)
'2024-01-01T00:00:00+02:00'
-- in a policy
LEFT('2024-01-01T00:00:00+02:00', 5)
-- Constant(value='2024-01-01T00:00:00+02:00'), NUMBER(5,0)
NULL::NUMBER(5,0)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), NUMBER(38,2)
NULL::NUMBER(38,2)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), TIMESTAMP_LTZ(3)
TIMESTAMP_TZ_FROM_PARTS(2023, 12, 31, 22, 0, 0, 0, 'UTC')::TIMESTAMP_LTZ(3)
-- Constant(value='2024-01-01T00:00:00+02:00'), BINARY(8388608)
NULL::BINARY(8388608)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), TIME(9)
NULL::TIME(9)
-- NULL: its type cannot show that
-- Constant(value='2024-01-01T00:00:00+02:00'), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
-- NULL: its type cannot show that
-- Nullify(), VARCHAR(16777216)
NULL::VARCHAR(16777216)
-- Nullify(), NUMBER(38,0)
NULL::NUMBER(38,0)
-- Nullify(), NUMBER(20,4)
NULL::NUMBER(20,4)
-- Nullify(), FLOAT
NULL::FLOAT
-- Nullify(), BOOLEAN
NULL::BOOLEAN
-- Nullify(), DATE
NULL::DATE
-- Nullify(), TIMESTAMP_NTZ(9)
NULL::TIMESTAMP_NTZ(9)
-- Nullify(), TIMESTAMP_TZ(9)
NULL::TIMESTAMP_TZ(9)
-- Nullify(), VARIANT
NULL::VARIANT
-- Nullify(), VARCHAR(5)
NULL::VARCHAR(5)
-- Nullify(), NUMBER(5,0)
NULL::NUMBER(5,0)
-- Nullify(), NUMBER(38,2)
NULL::NUMBER(38,2)
-- Nullify(), TIMESTAMP_LTZ(3)
NULL::TIMESTAMP_LTZ(3)
-- Nullify(), BINARY(8388608)
NULL::BINARY(8388608)
-- Nullify(), TIME(9)
NULL::TIME(9)
-- Nullify(), VECTOR(FLOAT, 3)
CASE WHEN FALSE THEN t."C" END
